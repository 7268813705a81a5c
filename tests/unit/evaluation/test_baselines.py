"""What needs no model, on made-up questions and on the published ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from eval_fixtures import sample

from data_builders import camerabench
from data_builders.media import video
from orchestrator.evaluation import baselines

SHARED = Path(os.environ.get("CAMREASONER_SHARED_DATA", Path(__file__).parents[4] / "shared/data"))
needs_camerabench = pytest.mark.skipif(
    not (SHARED / "camerabench").is_dir(), reason="CameraBench's annotations are not here"
)


def test_the_majority_answer_is_a_letter_or_a_text() -> None:
    shuffled = [
        sample(n, options=("Yes", "No") if n % 2 else ("No", "Yes"), answer="BA"[(n + 1) % 2])
        for n in range(10)
    ]
    assert {one.answer_text for one in shuffled} == {"No"}
    assert baselines.majority(shuffled) == ("No", 1.0)
    assert baselines.majority([sample(n, answer="AAB"[n % 3]) for n in range(9)]).share == 2 / 3


def test_text_only_learns_from_other_clips_alone() -> None:
    told = [
        sample(n, question=f"Q{n % 2}", answer="AB"[n % 2], media=(video(f"{n}.mp4"),))
        for n in range(40)
    ]
    unique = [one.model_copy(update={"question": f"{one.id}?"}) for one in told]
    one_clip = [one.model_copy(update={"media": (video("same.mp4"),)}) for one in told]
    assert baselines.text_only(told) == 1.0
    assert baselines.text_only(unique) < 0.6
    assert baselines.text_only(one_clip) == 0.5  # nothing to learn from: always the first option


def test_chance_counts_the_options() -> None:
    four = sample(1, options=("a", "b", "c", "d"))
    assert baselines.chance([sample(0), four]) == pytest.approx(0.375)


@needs_camerabench
def test_always_no_beats_every_published_row_of_camerabench() -> None:
    samples = camerabench.binary(SHARED / "camerabench")
    assert len(samples) == 7679
    assert baselines.majority(samples).answer == "No"
    assert baselines.majority(samples).share == pytest.approx(0.8773, abs=5e-5)


@needs_camerabench
def test_the_released_vqa_is_solved_without_looking_and_ours_is_not() -> None:
    assert baselines.text_only(camerabench.vqa_as_released(SHARED / "camerabench")) == 1.0
    assert baselines.text_only(camerabench.vqa_match(SHARED / "camerabench")) < 0.53


@needs_camerabench
def test_the_released_vqa_asks_half_its_questions_twice() -> None:
    found = baselines.by_group(camerabench.vqa_as_released(SHARED / "camerabench"))["all"]
    assert (found["n"], found["distinct"], found["text_only"]) == (14172, 7070, 1.0)
