"""A stage that dies is started again where it was; one that dies there twice is not."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orchestrator.console import Console
from orchestrator.errors import StageError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import Command, Progress, Resources
from orchestrator.plan.whole import read_manifest
from orchestrator.recipe import load_recipe
from orchestrator.run import store
from orchestrator.run.attempts import read_attempts
from orchestrator.run.cluster import Session
from orchestrator.run.execute import AttemptError, attempt
from orchestrator.run.launch import launch
from tests.unit.orchestrator.finished import with_values

pytestmark = pytest.mark.slow

# Counts to six with a checkpoint a step; comes to harm at step three, once or always.
TRAINER = """
import json, os, sys, time
from pathlib import Path
import psutil
out, harm, always = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "always"

def come_to_harm():
    exec(harm)

checkpoint = out / "checkpoint"
step = int(checkpoint.read_text()) if checkpoint.exists() else 0
while step < 6:
    step += 1
    with (out / "rows.jsonl").open("a") as file:
        file.write(json.dumps({"done": step, "total": 6}) + chr(10))
    if step == 3 and (always or not (out / "harmed").exists()):
        (out / "harmed").touch()
        come_to_harm()
    (out / "partial").write_text(str(step))
    os.replace(out / "partial", checkpoint)
"""
KILL_RAY = """
own = [p for p in psutil.Process({pid}).children(recursive=True) if p.name() == {name!r}]
own[-1].kill()
time.sleep(600)
"""


def plan_of(tmp_path: Path, harm: str, how_often: str = "once") -> Plan:
    recipe = load_recipe("tiny", ["recovery.stall_minutes=0.1"])
    plan = make_plan(recipe, tmp_path)
    progress = Progress(str(tmp_path / "rows.jsonl"), step="done", total="total")
    argv = ("-c", TRAINER, str(tmp_path), harm, how_often)
    stage = with_values(
        plan.stage("data"),
        commands=(Command("orchestrator", argv, progress=progress),),
        resources=Resources(cpus=1),
        files={},
        needs=(),
    )
    return replace(plan, stages=(stage,))


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("raise SystemExit(5)", "exit code 5"),
        ("print('torch.OutOfMemoryError: CUDA out of memory'); os._exit(1)", "GPU memory"),
        ("time.sleep(600)", "no progress for 0.1 minutes"),
        (KILL_RAY.format(pid=os.getpid(), name="gcs_server"), "Ray's own processes"),
        (KILL_RAY.format(pid=os.getpid(), name="raylet"), "Ray's own processes"),
    ],
)
def test_a_stage_that_comes_to_harm_goes_on_to_its_end(
    tmp_path: Path, harm: str, cause: str
) -> None:
    plan = plan_of(tmp_path, harm)
    launch(plan, plan.stages, Console())
    assert (tmp_path / "checkpoint").read_text() == "6"
    died, done = read_attempts(plan.stages[0].directory)
    assert (died.outcome, done.outcome) == ("died", "done")
    assert died.cause is not None and cause in died.cause
    assert len(read_manifest(plan.stages[0].directory)["attempts"]) == 2
    if "no progress" in cause:
        (stacks,) = Path(died.log).parent.glob("*.stacks.txt")
        assert "come_to_harm" in stacks.read_text()


def test_a_stage_that_dies_twice_at_one_step_stops_with_the_cause(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "print('out of cheese'); os.kill(os.getpid(), 9)", "always")
    with pytest.raises(StageError, match=r"(?s)signal 9 .*after step 3 .*twice.*out of cheese"):
        launch(plan, plan.stages, Console())
    assert [a.outcome for a in read_attempts(plan.stages[0].directory)] == ["died", "died"]
    assert not store.is_done(plan.stages[0])


def test_data_that_are_wrong_after_many_steps_are_not_tried_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "print('row 7 has no answer'); sys.exit(os.EX_DATAERR)", "always")
    with pytest.raises(StageError, match=r"(?s)the same data and recipe .*row 7 has no answer"):
        launch(plan, plan.stages, Console())
    assert [a.outcome for a in read_attempts(plan.stages[0].directory)] == ["died"]


def test_ray_that_goes_before_the_stage_is_placed_is_noticed(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "pass")
    with closing(Session(plan.recipe)) as session:
        session.address()
        for daemon in psutil.Process().children(recursive=True):
            if daemon.name() == "raylet":
                daemon.kill()
        with pytest.raises(AttemptError, match="own processes on this machine are gone"):
            attempt(plan.recipe, plan.stages[0], None, session, tmp_path / "log", Console())
