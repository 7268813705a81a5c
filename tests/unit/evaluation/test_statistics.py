"""Intervals and tests, against published numbers and against brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from orchestrator.evaluation import statistics as stats


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(184, 464, 35.3, 44.2), (140, 464, 26.2, 34.5), (6017, 7679, 77.42, 79.26)],
)
def test_wilson_gives_the_published_intervals(right: int, n: int, low: float, high: float) -> None:
    interval = [100 * end for end in stats.wilson(right, n)]
    assert interval == pytest.approx([low, high], abs=0.05)


def test_no_items_say_nothing() -> None:
    assert stats.wilson(0, 0) == (0.0, 1.0)


def test_without_clusters_the_bootstrap_agrees_with_wilson() -> None:
    values = np.repeat([1.0, 0.0], [300, 200])
    interval = stats.clustered_interval(values, range(500), seed=0)
    assert interval == pytest.approx(stats.wilson(300, 500), abs=0.006)


def test_questions_that_share_a_clip_widen_the_interval() -> None:
    clips = np.repeat(np.arange(100), 10)
    values = (clips % 2).astype(float)  # all ten questions of a clip go the same way
    low, high = stats.clustered_interval(values, list(clips), seed=0)
    alone = stats.clustered_interval(values, range(1000), seed=0)
    assert (high - low) / (alone[1] - alone[0]) == pytest.approx(10**0.5, rel=0.1)


def test_the_bootstrap_is_seeded() -> None:
    values = np.arange(50) % 3 == 0
    once = stats.clustered_interval(values.astype(float), range(50), seed=4)
    assert once == stats.clustered_interval(values.astype(float), range(50), seed=4)


def test_a_single_clip_has_no_interval_and_no_evidence() -> None:
    scores = np.array([1.0, 1.0, 0.0])
    assert stats.score_interval(scores, ["a"] * 3, seed=0) is None
    test = stats.paired(np.zeros(3), scores, ["a"] * 3, seed=0)
    assert (test.interval, test.p) == (None, 1.0)


def test_all_right_is_as_sure_as_there_are_clips() -> None:
    clips = list(np.repeat(np.arange(10), 20))
    for score in (0.0, 1.0):
        found = stats.score_interval(np.full(200, score), clips, seed=0)
        assert found == stats.wilson(int(10 * score), 10)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=8), st.integers(1, 4))
def test_the_test_is_exact_for_few_clips(gains: list[int], each: int) -> None:
    """Against all signs, spelled out; a clip's questions move together."""
    first = np.zeros(len(gains) * each)
    second = np.repeat(np.array(gains, dtype=float), each) / 4
    clips = np.repeat(np.arange(len(gains)), each)
    test = stats.paired(first, second, list(clips), seed=0)
    moved = [abs(gain) for gain in gains if gain]
    sums = [sum(s * g for s, g in zip(signs, moved, strict=True))
            for signs in product((-1, 1), repeat=len(moved))]  # fmt: skip
    tails = (sum(s >= sum(gains) for s in sums), sum(s <= sum(gains) for s in sums))
    assert test.p == pytest.approx(min(1.0, 2 * min(tails) / len(sums)))
    assert test.difference == pytest.approx(second.mean())


def test_without_clusters_the_test_agrees_with_mcnemars() -> None:
    first = np.repeat([1.0, 0.0, 1.0], [30, 15, 100])
    second = np.repeat([0.0, 1.0, 1.0], [30, 15, 100])
    test = stats.paired(first, second, range(145), seed=0)
    assert (test.only_first, test.only_second) == (30, 15)
    assert test.p == pytest.approx(binomtest(15, 45).pvalue, rel=0.25)


def test_graded_scores_are_tested_too() -> None:
    rng = np.random.default_rng(0)
    first = rng.choice([0.2, 0.5, 0.8], 200)
    assert stats.paired(first, first + 0.1, range(200), seed=0).p < 0.001
    assert stats.paired(first, rng.permutation(first), range(200), seed=0).p > 0.01


def test_questions_about_one_clip_are_one_piece_of_evidence() -> None:
    """Six clips, ten questions each, all better: as sure as six, not as sure as sixty."""
    clips = list(np.repeat(np.arange(6), 10))
    assert stats.paired(np.zeros(60), np.ones(60), clips, seed=0).p == pytest.approx(2 / 2**6)


def test_the_paired_interval_is_of_the_difference() -> None:
    first = np.repeat([1.0, 0.0], [132, 332])
    second = np.concatenate([np.repeat([0.0, 1.0], [39, 93]), np.repeat([1.0, 0.0], [132, 200])])
    test = stats.paired(first, second, range(464), seed=0)
    assert (test.only_first, test.only_second) == (39, 132)
    assert test.p == 2 / (stats.FLIPS + 1)  # ShotVL-7B against Qwen-7B on ShotBench
    assert test.interval is not None
    assert test.interval[0] < 0.2004 < test.interval[1] and test.interval[0] > 0.14


def test_equal_scores_are_no_evidence() -> None:
    same = np.array([1.0, 0.5, 1.0])
    assert stats.paired(same, same, range(3), seed=0).p == 1.0


def test_holm_steps_down() -> None:
    assert stats.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert stats.holm([]) == []
