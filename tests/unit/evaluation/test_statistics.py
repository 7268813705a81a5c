"""Intervals, baselines and tests, against published numbers and against brute force."""

from __future__ import annotations

import os
from math import comb
from pathlib import Path

import numpy as np
import pytest
from eval_fixtures import sample
from hypothesis import given
from hypothesis import strategies as st

from data_builders import camerabench
from orchestrator.evaluation import statistics as stats

SHARED = Path(os.environ.get("CAMREASONER_SHARED_DATA", Path(__file__).parents[4] / "shared/data"))
needs_camerabench = pytest.mark.skipif(
    not (SHARED / "camerabench").is_dir(), reason="CameraBench's annotations are not here"
)


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


def test_the_majority_answer_is_a_letter_or_a_text() -> None:
    shuffled = [
        sample(n, options=("Yes", "No") if n % 2 else ("No", "Yes"), answer="BA"[(n + 1) % 2])
        for n in range(10)
    ]
    assert {one.answer_text for one in shuffled} == {"No"}
    assert stats.majority(shuffled) == 1.0
    assert stats.majority([sample(n, answer="AAB"[n % 3]) for n in range(9)]) == pytest.approx(
        2 / 3
    )


def test_text_only_learns_from_other_clips_alone() -> None:
    told = [sample(n, question=f"Q{n % 2}", answer="AB"[n % 2], clip=f"{n}.mp4") for n in range(40)]
    unique = [one.model_copy(update={"question": f"{one.id}?"}) for one in told]
    one_clip = [one.model_copy(update={"clip": "same.mp4"}) for one in told]
    assert stats.text_only(told) == 1.0
    assert stats.text_only(unique) < 0.6
    assert stats.text_only(one_clip) == 0.5  # nothing to learn from: always the first option


def test_chance_counts_the_options() -> None:
    four = sample(1, options=("a", "b", "c", "d"))
    assert stats.chance([sample(0), four]) == pytest.approx(0.375)


def test_balanced_accuracy_and_f1_expose_always_no() -> None:
    samples = [sample(n, answer="A" if n < 2 else "B") for n in range(20)]
    letters = ["B"] * 20
    correct = np.array([one.answer == "B" for one in samples])
    assert correct.mean() == 0.9
    assert stats.balanced_accuracy(samples, correct) == 0.5
    assert stats.f1(samples, letters) == 0.0
    assert stats.f1(samples, [one.answer for one in samples]) == 1.0


def test_f1_follows_texts_through_shuffled_options() -> None:
    samples = [
        sample(0, options=("Yes", "No"), answer="A"),
        sample(1, options=("No", "Yes"), answer="B"),
        sample(2, options=("No", "Yes"), answer="A"),
    ]
    # Yes, No (missed), Yes (false alarm): precision 1/2, recall 1/2.
    assert stats.f1(samples, ["A", "A", "B"]) == pytest.approx(0.5)
    assert stats.f1(samples, ["A", None, "A"]) == pytest.approx(2 / 3)


@needs_camerabench
def test_always_no_beats_every_published_row_of_camerabench() -> None:
    samples = camerabench.binary(SHARED / "camerabench")
    assert len(samples) == 7679
    assert stats.majority(samples) == pytest.approx(0.8773, abs=5e-5)


@needs_camerabench
def test_the_released_vqa_is_solved_without_looking_and_ours_is_not() -> None:
    assert stats.text_only(camerabench.vqa_as_released(SHARED / "camerabench")) == 1.0
    assert stats.text_only(camerabench.vqa_match(SHARED / "camerabench")) < 0.53
