"""The four families of camera motion that the paper balances its training data by."""

from __future__ import annotations

import re
from typing import Literal

Family = Literal["rotation", "static", "zoom", "track"]

_WORDS: dict[str, Family] = {
    r"pan(?:s|ned|ning)?|tilt(?:s|ed|ing)?|roll(?:s|ed|ing)?|rotat\w+": "rotation",
    r"(?:dolly )?zoom(?:s|ed|ing)?": "zoom",
    r"dol(?:ly|lies)|truck\w*|pedestal\w*|cran(?:e|es|ed|ing)|arc(?:s|ing)?|track(?:s|ed|ing)?|"
    r"leading|follow(?:s|ed)?|following (?:the|behind)|lateral(?:ly)?|"
    r"mov(?:e|es|ed|ing) (?:(?:physically|in|only) )*"
    r"(?:forward|backward|upward|downward|left|right|up|down|ahead|from the side)\w*|"
    r"(?:forward|backward) motion|moving ahead": "track",
    r"static|still|fixed|stationary|stable|stead\w+|unstead\w+|shak\w+|vibrat\w+|"
    r"freez\w*": "static",
}
_KEYWORD = re.compile("|".join(rf"(\b(?:{words})\b)" for words in _WORDS))
_FAMILIES = tuple(_WORDS.values())
_EXCLUDED = re.compile(r"\([^)]*\)|\bwithout\b[^.?,;]*")
"""What a text says is absent: "(not zooming in)", "without any other camera movement"."""


def family(text: str) -> Family:
    """The family of the first motion that `text` names (paper appendix A).

    Pan, tilt and roll are "rotation"; dolly, truck, pedestal, arcs, cranes and tracking shots are
    "track". Questions about scene, speed and steadiness count as "static", the paper's
    "Static / Steadiness": its four families cover every question.
    """
    found = _KEYWORD.search(_EXCLUDED.sub(" ", text.lower()))
    return _FAMILIES[found.lastindex - 1] if found and found.lastindex else "static"
