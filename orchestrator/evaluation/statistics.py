"""What a mean score is worth: intervals and paired tests.

The clip is the unit of chance: questions about one clip are right or wrong together. Scores are in
[0, 1], right or wrong or graded.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

DRAWS = 2000
"""Bootstrap resamples: the ends of a 95 % interval then vary by about 2 % of its width."""
FLIPS = 4999
"""Sign flips of a test: p-values go down to 0.0004. Twelve clips or fewer are enumerated."""
CHUNK = 100
"""Resamples at once: bounds the memory at 14,172 clusters to 35 MB."""
LEVEL = 0.95

Interval = tuple[float, float]
Scores = NDArray[np.float64]


class Paired(NamedTuple):
    """One checkpoint against another on the same questions."""

    n: int
    difference: float
    """Mean score of the second less that of the first."""
    interval: Interval | None
    """95 %, from a bootstrap over clips; None for a single clip."""
    only_first: int
    """Questions on which the first scores higher."""
    only_second: int
    p: float
    """Two-sided test by sign flips: under no difference, a clip's gain is as likely a loss."""


def wilson(right: int, n: int) -> Interval:
    """95 % Wilson interval of a share of `n` independent items; (0, 1) for no items."""
    if n == 0:
        return 0.0, 1.0
    low, high = proportion_confint(right, n, alpha=1 - LEVEL, method="wilson")
    return float(low), float(high)


def clustered_interval(values: Scores, clusters: Sequence[Hashable], seed: int) -> Interval | None:
    """95 % percentile interval of the mean of `values`, whole clusters drawn with replacement.

    None for a single cluster, which tells nothing of others.
    """
    sums, sizes = _by_cluster(values, clusters)
    if len(sizes) < 2:
        return None
    rng = np.random.default_rng(seed)
    means = np.concatenate([_resampled_means(rng, sums, sizes) for _ in range(DRAWS // CHUNK)])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def score_interval(scores: Scores, clusters: Sequence[Hashable], seed: int) -> Interval | None:
    """`clustered_interval` of scores; Wilson's of the clusters where all are 0, or all are 1."""
    interval = clustered_interval(scores, clusters, seed)
    if interval is None or scores.min() < scores.max() or scores[0] not in (0, 1):
        return interval
    clips = len(set(clusters))
    return wilson(clips * int(scores[0]), clips)


def _by_cluster(values: Scores, clusters: Sequence[Hashable]) -> tuple[Scores, Scores]:
    """Each cluster's sum of values, and its size."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=values).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def _resampled_means(rng: np.random.Generator, sums: Scores, sizes: Scores) -> Scores:
    drawn = rng.integers(len(sizes), size=(CHUNK, len(sizes)))
    means: Scores = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def paired(first: Scores, second: Scores, clusters: Sequence[Hashable], seed: int) -> Paired:
    """Compare scores on the same items in the same order, `(n,)` each."""
    gain = second - first
    return Paired(
        n=len(first),
        difference=float(gain.mean()),
        interval=clustered_interval(gain, clusters, seed),
        only_first=int((gain < 0).sum()),
        only_second=int((gain > 0).sum()),
        p=sign_flip(_by_cluster(gain, clusters)[0], seed),
    )


def sign_flip(gains: Scores, seed: int) -> float:
    """Two-sided p of `gains`, one a cluster, against signs by chance; clusters without are idle."""
    moved = gains[gains != 0]
    if len(moved) < 2:
        return 1.0
    test = permutation_test(
        (moved,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        n_resamples=FLIPS,
        vectorized=True,
        batch=CHUNK,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction over one family of tests, in the order given."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]
