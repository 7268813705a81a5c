"""Intervals and tests, against published numbers and against brute force."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(only_first=st.integers(0, 40), only_second=st.integers(0, 40), both=st.integers(1, 9))
def test_mcnemar_is_exact(only_first: int, only_second: int, both: int) -> None:
    first = np.repeat([True, False, True], [only_first, only_second, both])
    second = np.repeat([False, True, True], [only_first, only_second, both])
    test = stats.paired(first, second, range(len(first)), seed=0)
    n, few = only_first + only_second, min(only_first, only_second)
    expected = min(1.0, 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n)
    assert test.p == pytest.approx(expected)
    assert test.difference == pytest.approx((only_second - only_first) / len(first))


def test_the_paired_interval_is_of_the_difference() -> None:
    first = np.repeat([True, False], [132, 332])
    second = np.concatenate(
        [np.repeat([False, True], [39, 93]), np.repeat([True, False], [132, 200])]
    )
    test = stats.paired(first, second, range(464), seed=0)
    assert (test.only_first, test.only_second) == (39, 132)
    assert test.p == pytest.approx(5e-13, rel=0.5)  # ShotVL-7B against Qwen-7B on ShotBench
    assert test.interval[0] < 0.2004 < test.interval[1] and test.interval[0] > 0.14


def test_equal_verdicts_are_no_evidence() -> None:
    same = np.array([True, False, True])
    assert stats.paired(same, same, range(3), seed=0).p == 1.0


def test_holm_steps_down() -> None:
    assert stats.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert stats.holm([]) == []
