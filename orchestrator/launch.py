"""Plan -> finished stages: run through Ray what is not done yet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import cluster, envs, manifest, runs
from orchestrator.errors import StageError
from orchestrator.plan import Plan
from orchestrator.stage import ROOT, Command, Stage
from orchestrator.trainers import llamafactory
from orchestrator.ui import Console

if TYPE_CHECKING:
    from orchestrator.nodes import Nodes

TAIL_LINES = 25


def launch(plan: Plan, stages: Sequence[Stage], console: Console) -> None:
    """Bring every stage of `stages` to its manifest, in order; finished ones are reused.

    Raises `StageError` when a stage's process fails (its log is named), `ResourceError` when the
    machine or the cluster is too small, `RunLockedError` when another process owns a stage.
    """
    waiting = [stage for stage in stages if not runs.is_done(stage)]
    for stage in stages:
        if stage not in waiting:
            console.reused(stage)
            runs.show_in_run(plan, stage)
    if not waiting:
        return
    if any(c.environment != "orchestrator" for stage in waiting for c in stage.commands):
        cluster.check_gpus(plan.recipe)  # data and report need none
    build_environments(waiting, console)
    with cluster.connected(plan.recipe) as address:
        cluster.check_nodes(waiting)
        for stage in waiting:
            with runs.owned(stage):
                if not runs.is_done(stage):
                    _run_stage(plan, stage, address, console)
            runs.show_in_run(plan, stage)


def build_environments(stages: Sequence[Stage], console: Console) -> None:
    """Build what the stages' commands run in, each once."""
    for name in dict.fromkeys(c.environment for stage in stages for c in stage.commands):
        build_environment(name, console)


def build_environment(name: str, console: Console) -> None:
    """Build one environment, unless it is ready."""
    if not envs.is_ready(name):
        with console.waiting(f"installing environment {name} from envs/{name}.txt"):
            envs.build(name)


def _run_stage(plan: Plan, stage: Stage, address: str, console: Console) -> None:
    from orchestrator.nodes import Nodes

    _check_needs(stage)
    runs.write_files(stage)
    origin = manifest.origin(plan, stage)
    log = _next_log(stage)
    started = time.time()
    console.started(stage, log)
    nodes = Nodes(stage.resources)
    try:
        machine = nodes.machine()
        seconds = [_run_command(nodes, stage, c, address, log, console) for c in stage.commands]
    except BaseException:
        nodes.stop()
        raise
    finally:
        nodes.release()
    if stage.name == "sft":
        llamafactory.finish(stage.directory)
    took = time.time() - started
    facts = {"started": started, "seconds": took, "command_seconds": seconds, "log": str(log)}
    runs.finish(stage, {**facts, "machine": machine, **origin, **manifest.result(stage)})
    console.finished(stage, took)


def _run_command(
    nodes: Nodes, stage: Stage, command: Command, address: str, log: Path, console: Console
) -> float:
    started = time.monotonic()
    environ = {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": address, **command.environ}
    argv = [str(envs.interpreter(command.environment)), *command.argv]
    end = 0, log
    with closing(console.following(stage, command)) as follow:
        next(follow)
        for item in nodes.run(command.nodes, argv, environ, stage.directory, log):
            if isinstance(item, list):
                follow.send(item)
            else:
                end = item
    if end[0] != 0:
        raise StageError(_failure(stage, command, *end))
    return time.monotonic() - started


def _check_needs(stage: Stage) -> None:
    for path in stage.needs:
        if not path.exists():
            there = sorted(p.name for p in path.parent.glob("*") if not p.name.startswith("."))
            raise StageError(
                f"stage {stage.name!r} needs {path}, which does not exist; "
                f"{path.parent} holds: {', '.join(there) or 'nothing'}. "
                "Choose another checkpoint (rl.sft_checkpoint), or save it (sft.save_every)."
            )


def _next_log(stage: Stage) -> Path:
    directory = stage.directory / "logs"
    directory.mkdir(exist_ok=True)
    return directory / f"attempt_{len(list(directory.glob('attempt_*.log'))) + 1}.log"


def _failure(stage: Stage, command: Command, code: int, log: Path) -> str:
    tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    cause = f"signal {-code}" if code < 0 else f"exit code {code}"
    return (
        f"stage {stage.name!r} died with {cause} in "
        f"{command.argv[1]} (environment {command.environment}). The last lines of {log}:\n  "
        + "\n  ".join(tail)
    )
