"""Where a response gives its answer, and which tokens would write each option there.

An option's probability is that of its letter, given the prompt and all that the policy itself
wrote before its answer: behind `<answer>`, or at the start of a response without any block.
For a policy that answers at once this is VQAScore's P("Yes"), CameraBench's measure.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

OPENING = "<answer>"
ROUNDED = 0.01
"""What the log of a certain token may come to."""
Head = tuple[int, ...]
"""The tokens of an option up to one of them."""
Logs = Any
"""Log-probabilities by token: a mapping, or a tensor."""


def answer_place(text: str, tags: Sequence[str]) -> int | None:
    """The character of `text` where its answer starts, whitespace skipped.

    None where there are several answers, or where a trace of `tags` was begun but gives none.
    """
    before, opening, after = text.partition(OPENING)
    if OPENING in after:
        return None
    if not opening:
        if any(f"<{tag}>" in text for tag in tags):
            return None
        before, after = "", text
    return len(before) + len(opening) + len(after) - len(after.lstrip())


class Options(NamedTuple):
    """A place in a response, and the options as tokens from there on."""

    kept: int
    """So many of the response's tokens come before."""
    tokens: tuple[Head, ...]
    """Of each option, at least one; none is the beginning of another's."""

    @property
    def heads(self) -> list[Head]:
        """All that must be known to tell the options apart: mostly `()` alone."""
        heads = [option[:end] for option in self.tokens for end in range(len(option))]
        return list(dict.fromkeys(heads))

    def behind(self, head: Head) -> list[int]:
        """The tokens with which options go on after one of `heads`."""
        found = [option[len(head)] for option in self.tokens if option[: len(head)] == head]
        return list(dict.fromkeys(found))

    def probabilities(self, logs: Mapping[Head, Logs]) -> list[float]:
        """Of each option, from the log-probabilities of the token behind each of `heads`."""
        return [
            math.exp(sum(float(logs[option[:end]][option[end]]) for end in range(len(option))))
            for option in self.tokens
        ]


def find_options(
    written: Sequence[int], letters: Sequence[str], tags: Sequence[str], tokenizer: Any
) -> Options | None:
    """The options of a response of tokens `written`; None without letters or an answer's place.

    A token may reach over the place: Qwen writes `<answer>B` as `<`, `answer`, `>B`. The options
    then begin with that token's first characters.
    """
    text = tokenizer.decode(written)
    place = answer_place(text, tags) if letters else None
    if place is None:
        return None
    kept = bisect_right(
        range(1, len(written) + 1), place, key=lambda end: len(tokenizer.decode(written[:end]))
    )
    lead = text[len(tokenizer.decode(written[:kept])) : place]
    return Options(
        kept,
        tuple(
            tuple(tokenizer.encode(lead + letter, add_special_tokens=False)) for letter in letters
        ),
    )


def read_probabilities(
    places: Sequence[tuple[str, Mapping[str, float]]], letters: Sequence[str], tags: Sequence[str]
) -> list[float] | None:
    """The same from what a server tells: each token it wrote, and its likeliest ones there.

    By text, with log-probabilities. An option that is not among them counts 0. None without
    letters or an answer's place, and where nothing is told of it. Raises `ValueError` for what
    can't be the log of a probability.
    """
    place = answer_place("".join(text for text, _ in places), tags) if letters else None
    if place is None:
        return None
    start = 0
    for text, likeliest in places:
        if place < start + len(text):
            lead = text[: place - start]
            logs = [likeliest.get(lead + letter, -math.inf) for letter in letters]
            if not all(value < ROUNDED for value in logs):  # nor NaN
                raise ValueError(f"{logs} are no log-probabilities")
            return [math.exp(min(value, 0.0)) for value in logs]
        start += len(text)
    return None
