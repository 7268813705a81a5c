"""Mix the training questions of several sources by weight."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from data_builders.sample import Sample
from data_builders.source_specs import SourceName


def mix(
    sources: Mapping[SourceName, Sequence[Sample]],
    weights: Mapping[SourceName, float] | None,
    seed: int,
) -> list[Sample]:
    """As many of each source's samples as make the shares `weights`, none of them twice.

    The scarcest source gives all it has; the others lose samples by a hash of `seed` and id, so
    that a larger share keeps what a smaller one had. Order stays. Without weights, everything;
    sources without samples here take no part in the shares.
    """
    present = {name: rows for name, rows in sources.items() if rows}
    if weights is None or not present:
        return [sample for rows in present.values() for sample in rows]
    total = min(len(rows) / weights[name] for name, rows in present.items())
    return [
        sample
        for name, rows in present.items()
        for sample in _drawn(rows, round(total * weights[name]), seed)
    ]


def _drawn(rows: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    kept = set(sorted((s.id for s in rows), key=lambda name: rank(name, seed))[:count])
    return [s for s in rows if s.id in kept]


def rank(name: str, seed: int) -> str:
    """What draws are ordered by: the same for everyone, and kept where more are drawn."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
