"""The run directory: the manifest is the truth, and one process owns a stage."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import RunLockedError
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.whole import read_manifest
from orchestrator.recipe import load_recipe
from orchestrator.run import store


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return make_plan(load_recipe("tiny"), tmp_path).stages[0]


def test_a_stage_is_done_once_its_manifest_is_there(stage: Stage) -> None:
    store.write_files(stage)
    assert not store.is_done(stage)
    store.finish(stage, {"seconds": 1.0})
    assert store.is_done(stage)
    assert read_manifest(stage.directory)["seconds"] == 1.0


def test_a_second_owner_is_refused(stage: Stage) -> None:
    with store.owned(stage), pytest.raises(RunLockedError, match=stage.name), store.owned(stage):
        pass


def test_the_lock_of_a_killed_owner_does_not_block(stage: Stage) -> None:
    stage.directory.mkdir(parents=True)
    code = (
        "import os, sys; from filelock import FileLock\n"
        "FileLock(sys.argv[1]).acquire(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(stage.directory / ".lock")], check=False)
    with store.owned(stage):
        pass


def test_a_new_attempt_clears_what_a_killed_one_half_wrote(stage: Stage) -> None:
    half, other = (stage.directory / "clips" / name for name in (f".{'0' * 32}.partial", ".keep"))
    half.mkdir(parents=True)
    other.touch()
    store.write_files(stage)
    assert not half.exists() and other.exists()


def test_the_run_directory_points_at_the_stage(tmp_path: Path) -> None:
    plan = make_plan(load_recipe("tiny"), tmp_path)
    store.write_files(plan.stages[0])
    for _ in range(2):
        store.show_in_run(plan, plan.stages[0])
    assert (plan.directory / "data").resolve() == plan.stages[0].directory.resolve()
    assert json.loads((plan.directory / "recipe.json").read_text())["name"] == "tiny"


def test_status_says_what_changed(tmp_path: Path) -> None:
    before = make_plan(load_recipe("tiny"), tmp_path)
    stage = before.stage("sft")
    store.write_files(stage)
    store.finish(stage, {})
    store.show_in_run(before, stage)
    after = make_plan(load_recipe("tiny", ["sft.learning_rate=1e-4"]), tmp_path)
    assert store.stale_ingredients(after, after.stage("sft")) == ["file train.yaml"]
