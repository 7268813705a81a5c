"""One checkpoint against another on the questions that both answered."""

from __future__ import annotations

from typing import Any

from orchestrator.evaluation import statistics
from orchestrator.evaluation.groups import members
from orchestrator.evaluation.scoring import Scored


def compare(first: Scored, second: Scored, seed: int) -> dict[str, dict[str, Any]]:
    """By group: the second's gain, its interval and its test, the clip the unit of chance.

    `p_holm` is corrected over the groups of a kind: all categories are one family of tests.
    """
    places = {sample.id: place for place, sample in enumerate(second.samples)}
    both = [(i, places[s.id]) for i, s in enumerate(first.samples) if s.id in places]
    a, b = first.subset([i for i, _ in both]), second.subset([j for _, j in both])
    tests = {
        name: statistics.paired(
            a.scores[positions],
            b.scores[positions],
            [a.samples[i].clip for i in positions],
            seed,
        )
        for name, positions in members(a.samples).items()
    }
    corrected: dict[str, float] = {}
    for kind in sorted({name.partition("/")[0] for name in tests}):
        family = [name for name in tests if name.partition("/")[0] == kind]
        corrected |= zip(family, statistics.holm([tests[name].p for name in family]), strict=True)
    return {name: {**test._asdict(), "p_holm": corrected[name]} for name, test in tests.items()}
