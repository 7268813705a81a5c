"""A trainer is killed once, behind its first checkpoint, and its memory is counted."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.plan import llamafactory, verl
from orchestrator.plan.stage import Layout
from orchestrator.rehearse import watch

SLEEP = "import time; room = bytearray(50_000_000); time.sleep(60)"


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Any]:
    """A stage whose trainer runs."""
    argv = ("-c", SLEEP, str(tmp_path / "logs/.running"), str(tmp_path / "train.yaml"))
    process = subprocess.Popen([sys.executable, *argv], start_new_session=True)
    training = SimpleNamespace(argv=argv)
    yield SimpleNamespace(
        name="sft",
        directory=tmp_path,
        layout=llamafactory.LAYOUT,
        training=training,
        process=process,
    )
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        (
            llamafactory.LAYOUT,
            ["checkpoint-50/model.safetensors", "checkpoint-50/trainer_state.json"],
        ),
        (verl.LAYOUT, ["global_step_1/data.pt", "latest_checkpointed_iteration.txt"]),
    ],
)
def test_a_checkpoint_counts_once_its_last_file_is_there(
    layout: Layout, files: list[str], tmp_path: Path
) -> None:
    stage: Any = SimpleNamespace(directory=tmp_path, layout=layout)
    for name in files:
        assert not watch.has_saved(stage)
        path = tmp_path / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert watch.has_saved(stage)


def test_a_stage_without_checkpoints_has_saved_none(tmp_path: Path) -> None:
    stage: Any = SimpleNamespace(directory=tmp_path, layout=None)
    assert not watch.has_saved(stage)


def test_it_is_killed_behind_its_first_checkpoint_and_counted(trainer: Any) -> None:
    with watch.Watch([trainer]) as looking:
        time.sleep(3)
        assert trainer.process.poll() is None
        state = trainer.directory / "checkpoints/checkpoint-50/trainer_state.json"
        state.parent.mkdir(parents=True)
        state.touch()
        assert trainer.process.wait(timeout=30) == -9
    assert looking.peak["sft"] > 50_000_000


def test_one_that_had_saved_before_is_left_alone(trainer: Any) -> None:
    state = trainer.directory / "checkpoints/checkpoint-50/trainer_state.json"
    state.parent.mkdir(parents=True)
    state.touch()
    with watch.Watch([trainer]):
        time.sleep(2.5)
    assert trainer.process.poll() is None
