from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders.specs import MOTIONS, MotionName, TaskName
from data_builders.synthetic.questions import WORDINGS, Question, ask, name, trace

SHARED = Path(
    os.environ.get("CAMREASONER_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")
)


def test_every_motion_has_words_of_its_own() -> None:
    assert set(WORDINGS) == set(MOTIONS)
    for field in ("question", "seen"):
        assert len({getattr(wording, field) for wording in WORDINGS.values()}) == len(MOTIONS)


@given(
    task=st.sampled_from(["binary", "multiple_choice"]),
    motion=st.sampled_from(MOTIONS),
    choices=st.integers(2, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_exactly_one_option_is_right(
    task: TaskName, motion: MotionName, choices: int, seed: int
) -> None:
    question = ask(task, (motion,), MOTIONS, choices, np.random.default_rng(seed))
    right = question.options["ABCDEFGHI".index(question.answer)]
    if task == "binary":
        assert sorted(question.options) == ["No", "Yes"]
        assert right == ("Yes" if question.text == WORDINGS[motion].question else "No")
    else:
        assert len(set(question.options)) == choices
        assert right == name(motion)


def test_the_thinking_names_the_motion_and_ends_at_the_answer() -> None:
    choice = Question("What is the camera movement?", ("zoom in", "pan left", "static"), "B")
    assert trace(("pan_left",), choice)[1] == "pan left\nA. zoom in\nB. pan left"
    binary = Question(WORDINGS["zoom_in"].question, ("Yes", "No"), "B")
    assert trace(("pan_left",), binary) == (
        "The view slides to the right.",
        "pan left\nzoom in: No\nA. Yes\nB. No",
    )


def test_a_terse_trace_jumps_to_the_answer() -> None:
    choice = Question("What is the camera movement?", ("zoom in", "pan left"), "B")
    seen = WORDINGS["pan_left"].seen
    assert trace(("pan_left",), choice, terse=True) == (seen, "pan left")


@pytest.mark.skipif(not SHARED.is_dir(), reason="CameraBench's annotations are not here")
def test_binary_questions_are_camerabench_s_own() -> None:
    files = sorted((SHARED / "camerabench" / "binary_classification").glob("*.jsonl"))
    asked = {json.loads(f.read_text().splitlines()[0])["question"] for f in files}
    assert asked == {wording.question for wording in WORDINGS.values()}
