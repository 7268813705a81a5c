"""A few of the responses that were sampled while RL went on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

STEPS = 6
"""Shown of a run, evenly spread from its first to its last."""


class Rollout(NamedTuple):
    """One response of the policy at a step."""

    response: str
    score: float


class Group(NamedTuple):
    """Responses to one prompt at a step: its best and its worst, which are what teaches."""

    step: int
    prompt: str
    answer: str
    mean: float
    rollouts: Sequence[Rollout]


def choose_rollouts(files: Mapping[int, Path], steps: int = STEPS) -> list[Group]:
    """One group of each of a few steps: the first whose responses differ in their score."""
    known = sorted(files)
    last = len(known) - 1
    places = {round(n * last / max(1, steps - 1)) for n in range(steps)} if known else set()
    found = (next(_groups(step, files[step]), None) for step in (known[p] for p in sorted(places)))
    return [group for group in found if group is not None]


def _groups(step: int, file: Path) -> Iterator[Group]:
    """The groups of a step, those with a difference first."""
    rows = [
        json.loads(line) for line in file.read_text().splitlines(keepends=True) if line[-1:] == "\n"
    ]
    by_prompt: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        by_prompt.setdefault(str(row["uid"]).rsplit("_", 2)[0], []).append(row)
    for differ in (True, False):
        for members in by_prompt.values():
            ranked = sorted(members, key=lambda row: -float(str(row["score"])))
            scores = [float(str(row["score"])) for row in ranked]
            if (scores[0] > scores[-1]) is differ:
                shown = [ranked[0], ranked[-1]] if differ else ranked[:1]
                yield Group(
                    step,
                    str(ranked[0]["input"]),
                    str(ranked[0]["gts"]),
                    sum(scores) / len(scores),
                    [Rollout(str(row["output"]), float(str(row["score"]))) for row in shown],
                )
