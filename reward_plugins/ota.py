"""The O-T-A response format: `<observation>…</observation><think>…</think><answer>…</answer>`.

Standard library only, linear time, total: every function here takes whatever a policy may emit
and never raises for it. Training and evaluation read answers with these same functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from reward_plugins.errors import CamReasonerError

TAGS = ("observation", "think", "answer")
"""CamReasoner's blocks, in order (paper section 3.2). ShotVL's are `("think", "answer")`."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_LETTER_FORM = re.compile(
    r"(?:option )?(?:\(([A-Z])\)[.:]?|([A-Z])(?:[.:)]|$)) ?(.*)", re.IGNORECASE | re.ASCII
)
_LONE_LETTER = re.compile(r"\b[A-Z]\b")


class TagsError(CamReasonerError, ValueError):
    """The tags of a format are not a sequence of distinct names that includes `answer`."""


class Trace(NamedTuple):
    """A well-formed response: the stripped text of each block, by the tag's name."""

    blocks: dict[str, str]

    @property
    def observation(self) -> str | None:
        """What was seen; None where the format has no such block."""
        return self.blocks.get("observation")

    @property
    def think(self) -> str | None:
        """The reasoning; None where the format has no such block."""
        return self.blocks.get("think")

    @property
    def answer(self) -> str:
        """The text of the answer block, not yet read as a letter."""
        return self.blocks["answer"]


def parse(text: object, tags: Iterable[str] = TAGS) -> Trace | None:
    """The blocks of `text` if it holds exactly `tags`, once each, in order, and nothing else.

    Only whitespace may stand between and around the blocks, and no tag inside another; tags are
    case-sensitive. Anything that is not a `str` is None. Raises `TagsError` for unusable tags.
    """
    if not isinstance(text, str):
        return None
    blocks: dict[str, str] = {}
    rest = text
    marks = _marks(tuple(tags))
    for tag, opening, closing in marks:
        gap, _, rest = rest.partition(opening)
        body, closed, rest = rest.partition(closing)
        if not closed or (gap and not gap.isspace()) or ("<" in body and _has_mark(body, marks)):
            return None
        blocks[tag] = body.strip()
    return None if rest and not rest.isspace() else Trace(blocks)


def answer_block(text: object) -> str | None:
    """The stripped text of the only `<answer>` block, however broken the rest; else None."""
    if not isinstance(text, str):
        return None
    if text.count("<answer>") != 1 or text.count("</answer>") != 1:
        return None
    body, closed, _ = text.partition("<answer>")[2].partition("</answer>")
    return body.strip() if closed else None


def answer_letter(text: object, options: Sequence[str] | None = None) -> str | None:
    """The letter of the option that the answer `text` names, or None if it is not just one.

    Reads `A`, `a`, `(A)`, `A.`, `Option A`, `A. <text of option A>` and an option's own text;
    case, runs of whitespace and a final full stop do not matter. A letter beyond the options, a
    letter beside another option's text, or two answers are None. Where an option's text is itself
    another option's letter, the letter wins: that is what prompts ask for.

    `options` are the texts without letters. If None they are unknown: any letter will do, and the
    text behind it passes unless it holds another capital letter standing alone.
    """
    if not isinstance(text, str):
        return None
    if options is not None:
        options = tuple(options)
    letters = LETTERS if options is None else LETTERS[: len(options)]
    if len(text) == 1 and text in letters:  # nearly every answer of a trained policy
        return text
    answer = " ".join(text.split())
    by_text = _letters_by_text(options or ())
    if form := _LETTER_FORM.fullmatch(answer):
        letter, rest = (form[1] or form[2]).upper(), form[3]
        if letter in letters and _belongs(rest, letter, None if options is None else by_text):
            return letter
    return by_text.get(_plain(answer))


def _has_mark(body: str, marks: tuple[tuple[str, str, str], ...]) -> bool:
    return any(opening in body or closing in body for _, opening, closing in marks)


def _belongs(rest: str, letter: str, by_text: dict[str, str | None] | None) -> bool:
    if not rest:
        return True
    if by_text is None:
        return not _LONE_LETTER.search(rest)
    return by_text.get(_plain(rest)) == letter


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(". ").casefold()


@lru_cache(maxsize=4096)
def _letters_by_text(options: tuple[str, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for letter, option in zip(LETTERS, map(_plain, options), strict=False):
        found[option] = None if option in found else letter  # a repeated text names neither
    found.pop("", None)
    return found


@lru_cache(maxsize=64)
def _marks(tags: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    named = all(tag.isidentifier() for tag in tags)
    if "answer" not in tags or len(set(tags)) != len(tags) or not named:
        raise TagsError(
            f"tags: {tags!r} is not a list of distinct names with 'answer' among them; "
            f"use for example {list(TAGS)}"
        )
    return tuple((tag, f"<{tag}>", f"</{tag}>") for tag in tags)
