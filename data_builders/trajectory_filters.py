"""Which written trajectories may teach: format, answer, leaks, and reasoning that a judge follows.

The paper (section 3.1) filters by format, label and consistency. Its teacher was told the
answer, and 22 of the 138 published traces say so ("aligns with the ground-truth answer"): a
policy can't learn to see from those, hence the filter for leaks.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from data_builders.sample import Sample
from reward_plugins import ota
from reward_plugins.answers import answer_letter

Stage = Literal["request", "format", "label", "leak", "judge"]


class Rejection(NamedTuple):
    """Why a trajectory may not teach: the filter that refused it, and what it found."""

    stage: Stage
    reason: str


_TOLD = (
    "given|provided|supplied|known|expected|specified|stated|reference|target|designated|"
    "label+ed|annotated|predetermined|official|gold|true"
)
_ANSWER = "answers?|labels?|solutions?|annotations?"
_BE = "(?:(?:i|we) )?(?:is|was|were|am|are|has been)"
_LEAK = re.compile(
    "|".join(
        (
            r"\bground[\s_\u2010-\u2015-]{0,3}truth",
            rf"\b(?:{_TOLD})[ -](?:(?:correct|right|final) )?(?:{_ANSWER})\b",
            rf"\b(?:{_ANSWER}) (?:that )?(?:{_BE} )?(?:already )?"
            r"(?:given|provided|supplied|told|known)\b(?! (?:by|the observ))",
            r"\banswer[ -](?:key|sheet)\b",
            rf"\b(?:according to|based on|per|as indicated by|matches) the (?:correct |right )?"
            rf"(?:{_ANSWER})\b",
            rf"\b(?:know|knowing|told|informed|given) (?:that )?the (?:correct |right )?"
            rf"(?:{_ANSWER})\b",
            r"\b(?:i|we) (?:was|were|am|are|have been) (?:told|informed|instructed)\b",
            r"\bthe (?:prompt|instructions?|task) (?:says?|states?|gives?|tells?|provides?)\b",
        )
    ),
    re.IGNORECASE,
)


def leak(text: str) -> str | None:
    """The first words in `text` that betray its writer was told the answer, or None."""
    found = _LEAK.search(" ".join(text.split()))
    return found[0] if found else None


def refuse(sample: Sample, text: str, tags: tuple[str, ...] = ota.TAGS) -> Rejection | None:
    """What is wrong with the trajectory `text` for `sample` by the filters that need no judge."""
    trace = ota.parse(text, tags)
    if trace is None:
        return Rejection("format", f"not one {', '.join(tags)} in this order: {_start(text)}")
    for tag, body in trace.blocks.items():
        if not body:
            return Rejection("format", f"{tag} is empty")
    letter = answer_letter(trace.answer, sample.options)
    if letter != sample.answer:
        return Rejection("label", f"answers {trace.answer!r}, the answer is {sample.answer}")
    if words := leak(text):
        return Rejection("leak", f"says {words!r}")
    return None


def judged(sample: Sample, verdict: str) -> Rejection | None:
    """What is wrong by the judge's `verdict`, the letter that the reasoning leads to, or NONE."""
    said = verdict.rpartition("</think>")[2].strip()
    letter = answer_letter(said.strip("*` "), sample.options)
    if letter == sample.answer:
        return None
    if letter is not None:
        return Rejection("judge", f"the reasoning leads to {letter}, not {sample.answer}")
    if said.strip("*.` ").upper() == "NONE":
        return Rejection("judge", "the reasoning leads to no option")
    return Rejection("judge", f"the judge gave no verdict: {_start(said)}")


def _start(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
