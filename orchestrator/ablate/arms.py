"""Run the arms of a sweep: shared stages once, then arm by arm, or side by side on a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrator.ablate.sweep import Arm
from orchestrator.console import Console
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import ROOT, Stage
from orchestrator.recipe import Recipe
from orchestrator.run import cluster, store
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import write_file

LAST = "eval"
LOG = "arm.log"
LOOK_SECONDS = 0.5
ARM = ("-m", "orchestrator.ablate")
"""What runs one arm in a process of its own."""


def run_arms(arms: Sequence[Arm], console: Console) -> dict[str, str]:
    """Bring every arm to its evaluation; returns why the others failed, by the arm's directory.

    Stages of more than one arm run first and once. An arm that needs one that failed fails with
    it, without another try.
    """
    broken: dict[str, str] = {}
    begun: set[str] = set()
    for arm in arms:
        fresh = [stage for stage in arm.plan.until(LAST) if stage.fingerprint not in begun]
        if shared := [stage for stage in fresh if _is_shared(stage, arms)]:
            begun |= {stage.fingerprint for stage in shared}
            with _kept(arm.plan, shared, broken):
                _bring(arm.plan, shared, broken, console)
    side_by_side = min(len(arms), room(arms[0].plan.recipe))
    if side_by_side == 1:
        for arm in arms:
            console.say(f"\n[bold]{arm.plan.directory.name}[/]")
            with _kept(arm.plan, arm.plan.until(LAST), broken):
                _bring(arm.plan, arm.plan.until(LAST), broken, console)
    else:
        console.say(f"[dim]{side_by_side} arms side by side[/]")
        rows = {arm.plan.directory.name: arm.plan.until(LAST) for arm in arms}
        with console.watching(rows):
            _side_by_side(arms, side_by_side, broken)
    found = ((arm.plan.directory.name, _why(arm.plan, broken)) for arm in arms)
    return {label: why for label, why in found if why is not None}


def room(recipe: Recipe) -> int:
    """Arms that an existing cluster can train at a time; one on this machine's own Ray."""
    if recipe.cluster.address is None or recipe.cluster.device == "cpu":
        return 1
    import ray

    with cluster.connected(recipe):
        found = ray.cluster_resources().get("GPU", 0.0)
    return max(1, int(found // recipe.devices))


def _bring(plan: Plan, stages: Sequence[Stage], broken: dict[str, str], console: Console) -> None:
    from orchestrator.run.launch import launch

    if _why(plan, broken) is None:
        launch(plan, stages, console)


@contextmanager
def _kept(plan: Plan, stages: Sequence[Stage], broken: dict[str, str]) -> Iterator[None]:
    """Keep the error of an arm, under the stage that is not done: the other arms go on."""
    try:
        yield
    except CamReasonerError as error:
        first = next((stage for stage in stages if not store.is_done(stage)), stages[-1])
        broken[first.fingerprint] = str(error)


def _side_by_side(arms: Sequence[Arm], most: int, broken: dict[str, str]) -> None:
    """Run each arm in a process of its own, `most` at a time; an interrupt ends them all."""
    waiting, running = list(arms), dict[subprocess.Popen[bytes], Arm]()
    try:
        while waiting or running:
            while waiting and len(running) < most:
                arm = waiting.pop(0)
                if _why(arm.plan, broken) is None:
                    running[_started(arm)] = arm
            for process in [process for process in running if process.poll() is not None]:
                _ended(running.pop(process), process.returncode, broken)
            time.sleep(LOOK_SECONDS)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _started(arm: Arm) -> subprocess.Popen[bytes]:
    from orchestrator.run.supervise import end_with_parent  # which imports psutil

    plan = arm.plan
    config = {"recipe": plan.recipe.model_dump(mode="json"), "directory": str(plan.directory)}
    config["runs"] = str(plan.stages[0].directory.parents[2])
    file = plan.directory / "arm.json"
    write_file(file, json.dumps(config))
    command = [sys.executable, *ARM, str(file)]
    with (plan.directory / LOG).open("ab") as output:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, preexec_fn=end_with_parent
        )


def _ended(arm: Arm, code: int, broken: dict[str, str]) -> None:
    if code:
        stages = arm.plan.until(LAST)
        first = next((s for s in stages if not store.is_done(s)), stages[-1])
        broken[first.fingerprint] = f"exit code {code}; see {arm.plan.directory / LOG}"


def _is_shared(stage: Stage, arms: Sequence[Arm]) -> bool:
    return sum(any(s.fingerprint == stage.fingerprint for s in a.plan.stages) for a in arms) > 1


def _why(plan: Plan, broken: dict[str, str]) -> str | None:
    """The error of the first broken stage that the plan needs."""
    return next((broken[s.fingerprint] for s in plan.until(LAST) if s.fingerprint in broken), None)
