"""How evaluation reads an answer: wherever it stands, and as the published harnesses do.

The published rules stand beside published numbers, never for ours. The released CamReasoner harness
takes the first letter of any prose for an answer ("As the ..." is A); RefineShot's takes a lone
option letter ("A camera ..." too) or an option's text ("yes" in "eyes") anywhere in the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from data_builders.sample import LETTERS
from reward_plugins.answers import answer_letter
from reward_plugins.grading import number

Rule = Callable[[str, Sequence[str]], str | None]
"""From a response and the options' texts to the letter read; None where there is none."""

_ANSWER = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.IGNORECASE | re.DOTALL)
_LAST_ANSWER = re.compile(r".*<answer>(.*?)(?:</answer>|$)", re.IGNORECASE | re.DOTALL)
_LONE = re.compile(
    r"(?<![\w'])(?:[B-HJ-Z]|[AI](?![^\S\n]+(?!(?:or|and|nor|is|because)\b)[a-z]))(?![\w'])"
)
"""A capital letter by itself; A and I are words before a small letter."""
_DENIAL = re.compile(
    r"\b(?:no|not|never|without|cannot|neither|nor|rather than|instead of)\b|n['\u2019]t\b", re.I
)
_NUMBERS = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?!\w)")
NUMERIC = ("number", "relative", "relative_error")
"""Graders of numbers."""
_PUNCTUATION = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))


def anywhere(response: str, options: Sequence[str]) -> str | None:
    """The option that a response answers with, in whatever form; None for none or several.

    The last answer block, closed or cut off, or else the whole response: what it commits to
    (`reward_plugins.answers`), or else the only option letter that stands alone in it, or else the
    only option whose text it says without denying it. Nothing is guessed: an article is no letter,
    part of a word no text.
    """
    block = _LAST_ANSWER.match(response)
    text = block[1] if block else response
    if letter := answer_letter(text.strip(), options):
        return letter
    letters = LETTERS[: len(options)]
    if lone := {letter for letter in _LONE.findall(text) if letter in letters}:
        return lone.pop() if len(lone) == 1 else None
    said = [
        (letter, words)
        for letter, option in zip(letters, options, strict=True)
        if (words := _words(option)) and words.search(text)
    ]
    if len(said) != 1:
        return None
    letter, words = said[0]
    plain = any(words.search(s) and not _DENIAL.search(s) for s in re.split(r"[.;\n]", text))
    return letter if plain else None


def answer_anywhere(response: str, grader: str) -> str | None:
    """The answer to a question without options: the last answer block's, or the whole response.

    Where a number is asked for and there is no block, the only number that the response holds.
    """
    if block := _LAST_ANSWER.match(response):
        return block[1].strip()
    if grader not in NUMERIC or number(response) is not None:
        return response.strip() or None
    said = set(_NUMBERS.findall(response))
    return said.pop() if len(said) == 1 else None


@lru_cache(maxsize=4096)
def _words(option: str) -> re.Pattern[str] | None:
    """An option's text as whole words."""
    text = re.escape(option.strip(" ."))
    return re.compile(rf"(?<!\w){text}(?!\w)", re.IGNORECASE) if text else None


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
