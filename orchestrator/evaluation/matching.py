"""How the published harnesses read an answer: to stand beside their numbers, never for ours.

Both accept prose that the reward does not. The released CamReasoner harness takes the first
letter of any prose for an answer ("As the ..." is A); RefineShot's takes a lone option letter or
an option's text anywhere in the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from data_builders.sample import LETTERS

Rule = Callable[[str, Sequence[str]], str | None]
"""From a response and the options' texts to the letter read; None where there is none."""

_ANSWER = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.IGNORECASE | re.DOTALL)
_PUNCTUATION = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))


def first_character(response: str, options: Sequence[str]) -> str | None:
    """CamReasoner's released evaluation (Inference/infer/eval_bench.py:346-349).

    The first character of the first answer block, or else of the whole response, upper-cased.
    """
    found = re.search(r"<answer>\s*(.*?)\s*</answer>", response, re.DOTALL)
    text = (found[1] if found else response).strip()
    letter = text[:1].upper()
    return letter if letter and letter in LETTERS[: len(options)] else None


def lone_letter_or_text(response: str, options: Sequence[str]) -> str | None:
    """RefineShot's evaluation (calculate_scores.py: can_infer), VLMEvalKit's rule.

    The only option letter that stands alone in the answer, or else the only option whose text
    occurs in it. An answer block counts in any case; without one, all of the response does.
    """
    found = _ANSWER.search(response)
    text = (found[1] if found else response).strip()
    letters = LETTERS[: len(options)]
    words = set(text.translate(_PUNCTUATION).split())
    named = [letter for letter in letters if letter in words]
    if len(named) == 1:
        return named[0]
    if not named and "Z" in words:  # the harness's own mark of a failed answer
        return None
    said = [
        letter
        for letter, option in zip(letters, options, strict=True)
        if option.lower() in text.lower()
    ]
    return said[0] if len(said) == 1 else None


_RULES: dict[str, Rule] = {
    "camerabench": first_character,
    "shotbench": lone_letter_or_text,
    "refineshot": lone_letter_or_text,
}


def published_rule(benchmark: str) -> Rule | None:
    """The rule behind a benchmark's published rows; None where nothing is published."""
    return _RULES.get(benchmark.partition("_")[0])
