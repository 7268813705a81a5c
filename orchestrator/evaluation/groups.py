"""The groups of questions that get a score of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from data_builders.sample import Sample


def group_names(sample: Sample) -> tuple[str, ...]:
    """The groups that a sample counts in."""
    named = ("dataset", sample.dataset), ("task", sample.task), ("category", sample.category)
    return ("all", *(f"{kind}/{name}" for kind, name in named))


def members(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """Positions in `samples` by group, sorted by the group's name."""
    found: dict[str, list[int]] = defaultdict(list)
    for position, sample in enumerate(samples):
        for name in group_names(sample):
            found[name].append(position)
    return dict(sorted(found.items()))
