"""The reward is tried on a question of each task, in the files that the trainers read."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from data_builders.export import to_easyr1, to_verl
from data_builders.frames import FrameIndex
from data_builders.specs import PromptSpec
from reward_plugins import BrokenSampleError, compute_score, terms
from reward_plugins.trial import try_in_easyr1, try_in_verl
from tests.givens import SPEC, frames_of, question

SAMPLES = [question(1), question(2), question(3, task="numbers", options=(), answer="4")]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    clips = {"a.mp4": frames_of()}
    index = FrameIndex(cache=tmp_path, spec=SPEC, clips=clips)
    to_verl(SAMPLES, index, PromptSpec(), tmp_path / "rl.parquet")
    to_easyr1(SAMPLES, index, PromptSpec(), tmp_path / "rl.json")
    return tmp_path


def reward(folder: Path, body: str) -> str:
    path = folder / f"mine{abs(hash(body))}.py"
    zero = "{'score': 0.0, 'format': 0.0, 'accuracy': 0.0}"
    given = "*, data_source, solution_str, ground_truth, extra_info"
    path.write_text(f"def score({given}):\n    {body}\n    return {zero}\n")
    return f"{path}:score"


@pytest.mark.parametrize(
    ("fault", "sample"),
    [
        ("import nowhere", "s1"),
        ("assert solution_str", "s1"),
        ("assert ground_truth not in solution_str", "s1"),
        ("assert '<think>' not in solution_str", "s1"),
        ("assert data_source != 'numbers'", "s3"),
    ],
)
def test_a_fault_is_found_before_training(fault: str, sample: str, exported: Path) -> None:
    mine = reward(exported, fault)
    for trial in (
        partial(try_in_verl, partial(terms.compute_score, function=mine), exported / "rl.parquet"),
        partial(try_in_easyr1, {"function": mine}, exported / "rl.json"),
    ):
        with pytest.raises((ImportError, AssertionError)) as caught:
            trial()
        assert f"a response to sample '{sample}'" in caught.value.__notes__[0]
        assert f"tried on {exported}/rl." in caught.value.__notes__[1]


@pytest.mark.parametrize(
    ("grader", "answer"),
    [("number", "four"), ("interval", "[3, 1]"), ("box", "[0, 0, 1]"), ("map", "[]")],
)
def test_a_truth_that_a_grader_can_not_take_is_found_before_training(
    grader: str, answer: str, tmp_path: Path
) -> None:
    index = FrameIndex(cache=tmp_path, spec=SPEC, clips={"a.mp4": frames_of()})
    good = {"number": "4", "interval": "[1, 3]", "box": "[0, 0, 1, 1]", "map": '{"a": [[1, 1]]}'}
    answers = [good[grader], good[grader], answer]  # not the first of its task
    samples = [question(n, task="t", options=(), answer=a) for n, a in enumerate(answers)]
    to_verl(samples, index, PromptSpec(), tmp_path / "rl.parquet")
    to_easyr1(samples, index, PromptSpec(), tmp_path / "rl.json")
    tasks = {"t": {"grader": grader}}
    for trial in (
        partial(try_in_verl, partial(compute_score, tasks=tasks), tmp_path / "rl.parquet"),
        partial(try_in_easyr1, {"tasks": tasks}, tmp_path / "rl.json"),
    ):
        with pytest.raises(BrokenSampleError, match=f"'s2' .*the grader '{grader}'") as caught:
            trial()
        assert f"tried on {tmp_path}/rl." in caught.value.__notes__[0]


def test_a_sound_reward_is_asked_of_every_question_and_more_of_a_tasks_first(
    exported: Path,
) -> None:
    asked = exported / "asked"
    body = f"open({str(asked)!r}, 'a').write(f'{{data_source}} ')"
    try_in_verl(
        partial(terms.compute_score, function=reward(exported, body)), exported / "rl.parquet"
    )
    assert sorted(asked.read_text().split()) == ["binary"] * 4 + ["numbers"] * 3
