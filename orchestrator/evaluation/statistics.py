"""What a number of right answers is worth: intervals, baselines and paired tests.

All of it treats the clip as the unit of chance where questions share clips.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from data_builders.sample import Sample

DRAWS = 2000
"""Bootstrap resamples: the ends of a 95 % interval then vary by about 2 % of its width."""
CHUNK = 100
"""Resamples at once: bounds the memory at 14,172 clusters to 35 MB."""
FOLDS = 10
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


def chance(samples: Sequence[Sample]) -> float:
    """Expected accuracy of a uniform guess among the options."""
    return float(np.mean([1 / len(sample.options) for sample in samples]))


def majority(samples: Sequence[Sample]) -> float:
    """Accuracy of the best constant answer: always one letter, or always one text."""
    letters = Counter(sample.answer for sample in samples)
    texts = Counter(sample.answer_text for sample in samples)
    return max(*letters.values(), *texts.values()) / len(samples)


def text_only(samples: Sequence[Sample]) -> float:
    """Accuracy without looking: the better rule of `text_only_hits`."""
    return float(text_only_hits(samples).mean(axis=1).max())


def text_only_hits(samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """What each of two rules gets right without looking, `(2, n)`, cross-validated over clips.

    Each is learnt on nine tenths of the clips: the option's letter, or its text, that was most
    often right for the same question text (one never seen: for any question).
    """
    clips = {clip: n % FOLDS for n, clip in enumerate(sorted({s.clip for s in samples}))}
    folds = [clips[sample.clip] for sample in samples]
    return np.array([_guessed(samples, folds, by_text) for by_text in (False, True)])


def _guessed(samples: Sequence[Sample], folds: Sequence[int], by_text: bool) -> list[bool]:
    """Whether each item's right option was, outside its fold, the most often right one."""
    counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for sample, fold in zip(samples, folds, strict=True):
        right = sample.answer_text if by_text else sample.answer
        for question in (sample.question, ""):  # "" gathers all questions
            counts[question, fold][right] += 1
            counts[question, -1][right] += 1
    hits = []
    for sample, fold in zip(samples, folds, strict=True):
        options = sample.options if by_text else sample.letters
        seen = [
            tuple(counts[q, -1][option] - counts[q, fold][option] for q in (sample.question, ""))
            for option in options
        ]
        hits.append(sample.letters[seen.index(max(seen))] == sample.answer)
    return hits


def balanced_accuracy(samples: Sequence[Sample], correct: NDArray[np.bool_]) -> float:
    """Mean over the answers (texts such as Yes and No, or else letters) of the share got right."""
    truth = answer_classes(samples, [sample.answer for sample in samples])
    _, index = np.unique(np.asarray(truth), return_inverse=True)
    return float(np.mean(np.bincount(index, weights=correct) / np.bincount(index)))


def f1(samples: Sequence[Sample], letters: Sequence[str | None]) -> float:
    """F1 of "Yes" where all questions are yes or no; else the mean F1 over the answers."""
    truth = answer_classes(samples, [sample.answer for sample in samples])
    given = answer_classes(samples, letters)
    classes = sorted({name for name in truth if name is not None})
    positive = [name for name in classes if name.casefold() == "yes"] or classes
    return float(np.mean([_f1(truth, given, name) for name in positive]))


def answer_classes(samples: Sequence[Sample], letters: Sequence[str | None]) -> list[str | None]:
    """What each of `letters` stands for.

    The option's text where all questions offer the same texts, in any order; else the letter.
    """
    if len({frozenset(sample.options) for sample in samples}) > 1:
        return list(letters)
    return [
        None if letter is None else sample.options[sample.letters.index(letter)]
        for sample, letter in zip(samples, letters, strict=True)
    ]


def _f1(truth: Sequence[str | None], given: Sequence[str | None], positive: str) -> float:
    hits = sum(t == g == positive for t, g in zip(truth, given, strict=True))
    claims = sum(g == positive for g in given) + sum(t == positive for t in truth)
    return 2 * hits / claims if claims else 0.0
