"""The O-T-A response format: `<observation>…</observation><think>…</think><answer>…</answer>`.

Standard library only, linear time, total: every function here takes whatever a policy may emit
and never raises for it. `answers` reads which option an answer block names.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from reward_plugins.errors import CamReasonerError

TAGS = ("observation", "think", "answer")
"""CamReasoner's blocks, in order (paper section 3.2). ShotVL's are `("think", "answer")`."""


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


def _has_mark(body: str, marks: tuple[tuple[str, str, str], ...]) -> bool:
    return any(opening in body or closing in body for _, opening, closing in marks)


@lru_cache(maxsize=64)
def _marks(tags: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    named = all(tag.isidentifier() for tag in tags)
    if "answer" not in tags or len(set(tags)) != len(tags) or not named:
        raise TagsError(
            f"tags: {tags!r} is not a list of distinct names with 'answer' among them; "
            f"use for example {list(TAGS)}"
        )
    return tuple((tag, f"<{tag}>", f"</{tag}>") for tag in tags)
