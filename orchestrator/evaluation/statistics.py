"""What a number of right answers is worth: intervals and paired tests.

All of it treats the clip as the unit of chance where questions share clips.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

DRAWS = 2000
"""Bootstrap resamples: the ends of a 95 % interval then vary by about 2 % of its width."""
CHUNK = 100
"""Resamples at once: bounds the memory at 14,172 clusters to 35 MB."""
LEVEL = 0.95

Interval = tuple[float, float]


class Paired(NamedTuple):
    """One checkpoint against another on the same questions."""

    n: int
    difference: float
    """Accuracy of the second less that of the first."""
    interval: Interval
    """95 %, from a bootstrap over clips."""
    only_first: int
    """Questions that only the first got right."""
    only_second: int
    p: float
    """Exact McNemar test, two-sided."""


def wilson(right: int, n: int) -> Interval:
    """95 % Wilson interval of a share; (0, 1) for no items."""
    if n == 0:
        return 0.0, 1.0
    low, high = proportion_confint(right, n, alpha=1 - LEVEL, method="wilson")
    return float(low), float(high)


def clustered_interval(
    values: NDArray[np.float64], clusters: Sequence[Hashable], seed: int
) -> Interval:
    """95 % percentile interval of the mean of `values`, whole clusters drawn with replacement."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=values).astype(np.float64)
    sizes = np.bincount(index).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.concatenate([_resampled_means(rng, sums, sizes) for _ in range(DRAWS // CHUNK)])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _resampled_means(
    rng: np.random.Generator, sums: NDArray[np.float64], sizes: NDArray[np.float64]
) -> NDArray[np.float64]:
    drawn = rng.integers(len(sizes), size=(CHUNK, len(sizes)))
    means: NDArray[np.float64] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def paired(
    first: NDArray[np.bool_], second: NDArray[np.bool_], clusters: Sequence[Hashable], seed: int
) -> Paired:
    """Compare verdicts on the same items in the same order, `(n,)` each."""
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    discordant = only_first + only_second
    gain = second.astype(np.float64) - first
    return Paired(
        n=len(first),
        difference=float(gain.mean()),
        interval=clustered_interval(gain, clusters, seed),
        only_first=only_first,
        only_second=only_second,
        p=float(binomtest(only_second, discordant).pvalue) if discordant else 1.0,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction over one family of tests, in the order given."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]
