"""Measures that a constant answer does not win, and the confusion of motions."""

from __future__ import annotations

import numpy as np
import pytest
from eval_fixtures import sample

from data_builders.media import video
from orchestrator.evaluation import measures


def test_balanced_accuracy_and_f1_expose_always_no() -> None:
    samples = [sample(n, answer="A" if n < 2 else "B") for n in range(20)]
    letters = ["B"] * 20
    scores = np.array([float(one.answer == "B") for one in samples])
    assert scores.mean() == 0.9
    assert measures.balanced_accuracy(samples, scores) == 0.5
    assert measures.f1(samples, letters) == 0.0
    assert measures.f1(samples, [one.answer for one in samples]) == 1.0


def test_f1_follows_texts_through_shuffled_options() -> None:
    samples = [
        sample(0, options=("Yes", "No"), answer="A"),
        sample(1, options=("No", "Yes"), answer="B"),
        sample(2, options=("No", "Yes"), answer="A"),
    ]
    # Yes, No (missed), Yes (false alarm): precision 1/2, recall 1/2.
    assert measures.f1(samples, ["A", "A", "B"]) == pytest.approx(0.5)
    assert measures.f1(samples, ["A", None, "A"]) == pytest.approx(2 / 3)


def test_probabilities_rank_the_questions() -> None:
    samples = [sample(n, answer="AB"[n % 2]) for n in range(4)]  # Yes, No, Yes, No
    found = measures.ranking(samples, [[0.9, 0.1], [0.2, 0.2], [0.3, 0.6], [0.1, 0.8]])
    # Ranked Yes 0.9, No 0.5, Yes 1/3, No 1/9: precision 1 and 2/3 where a Yes is found.
    assert found is not None and found.ap == pytest.approx((1 + 2 / 3) / 2)
    assert found.auc == pytest.approx(3 / 4)
    assert (found.n, found.prevalence) == (4, 0.5)


def test_probabilities_follow_yes_through_shuffled_options() -> None:
    samples = [
        sample(0, options=("No", "Yes"), answer="B"),
        sample(1, options=("Yes", "No"), answer="B"),
    ]
    assert measures.ranking(samples, [[0.1, 0.9], [0.3, 0.7]]).ap == 1.0  # type: ignore[union-attr]


def test_questions_without_a_probability_are_left_out_and_counted() -> None:
    samples = [sample(0), sample(1), sample(2)]
    found = measures.ranking(samples, [[0.5, 0.5], None, [0.0, 0.0]])
    assert found is not None and (found.n, found.ap) == (1, None)
    assert measures.ranking(samples, [None, None, None]) is None
    several = sample(3, options=("a", "b", "c"))
    assert measures.ranking([several], [[0.1, 0.2, 0.3]]) is None


def test_motions_said_of_a_clip_stand_against_those_it_shows() -> None:
    def asked(motion: str, clip: str, answer: str) -> object:
        return sample(0, id=motion + clip, category=motion, media=(video(clip),), answer=answer)

    rows = [
        (asked("pan_left", "1.mp4", "A"), "B"),
        (asked("truck_left", "1.mp4", "B"), "A"),
        (asked("pan_left", "2.mp4", "A"), "A"),
        (asked("tilt_up", "3.mp4", "A"), None),
    ]
    found = measures.confusion([s for s, _ in rows], [a for _, a in rows])  # type: ignore[misc]
    assert found == {
        "pan_left": {"truck_left": 1, "pan_left": 1},
        "tilt_up": {"(no answer)": 1},
    }
