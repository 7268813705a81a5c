"""One attempt at a stage: its commands, one after the other, on the nodes that it reserves."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import envs
from orchestrator.console import Console
from orchestrator.errors import NodeLostError, StageError
from orchestrator.places import import_path
from orchestrator.plan import loggers
from orchestrator.plan.stage import Command, Stage
from orchestrator.recipe import Recipe
from orchestrator.run.checkpoints import is_last
from orchestrator.run.cluster import Session
from orchestrator.run.deaths import AGAIN, SIGNALLED, Death, explain, of_ray
from orchestrator.run.progress import lacking
from orchestrator.run.watchdog import Watchdog
from orchestrator.secrets import CONFIGURED

if TYPE_CHECKING:
    from orchestrator.run.nodes import End, Nodes

TAIL_BYTES = 20_000
CHECKS = "orchestrator.doctor."
SHORT = (
    "the trainer ended without an error before the last update: its data or a key of `extra` "
    "says so; the log below tells its own count"
)


class AttemptError(StageError):
    """An attempt died; `death` tells how, and the log `log` more."""

    def __init__(self, death: Death, log: Path) -> None:
        super().__init__(death, log)
        self.death, self.log = death, log


@dataclass(frozen=True)
class Attempted:
    """What is known of an attempt that brought its stage to the end."""

    machine: dict[str, Any]
    command_seconds: list[float]


def attempt(
    recipe: Recipe,
    stage: Stage,
    newest: Path | None,
    session: Session,
    log: Path,
    console: Console,
) -> Attempted:
    """Run every command of `stage` once, from the checkpoint `newest`.

    Raises `AttemptError` when one dies or stands still.
    """
    from ray.exceptions import RayError

    address = session.address()
    try:
        with _reserved(stage, session) as nodes:
            machine = nodes.machine(session.alive)
            commands = [resumed(command, newest) for command in _left(stage, newest)]
            runs = [_Run(recipe, stage, command, session, log) for command in commands]
            return Attempted(machine, [run.to_end(nodes, address, console) for run in runs])
    except (RayError, NodeLostError, ConnectionError) as error:
        raise AttemptError(of_ray(error, str(log.parent)), log) from error


@contextmanager
def _reserved(stage: Stage, session: Session) -> Iterator[Nodes]:
    """The stage's nodes. What still runs there ends with them, as far as Ray can reach it: where
    it can't, the processes notice that Ray is gone.
    """
    from ray.exceptions import RayError

    from orchestrator.run.nodes import Nodes

    nodes = Nodes(stage.resources)
    try:
        yield nodes
    finally:
        with suppress(RayError):
            if session.alive():
                nodes.stop()
                nodes.release()


def _left(stage: Stage, newest: Path | None) -> Iterator[Command]:
    """The stage's commands, without its training where the checkpoint `newest` is its end."""
    training = stage.training
    is_over = newest and training and training.progress and is_last(newest, training.progress)
    yield from (command for command in stage.commands if not (is_over and command is training))


def resumed(command: Command, newest: Path | None) -> Command:
    """The command that goes on from `newest`, where it is to be told which checkpoint that is."""
    if newest is None or not command.resume:
        return command
    return replace(command, argv=(*command.argv, command.resume.format(checkpoint=newest)))


class _Run:
    """One command of an attempt."""

    def __init__(
        self, recipe: Recipe, stage: Stage, command: Command, session: Session, log: Path
    ) -> None:
        self.recipe, self.stage, self.command = recipe, stage, command
        self.session, self.log = session, log

    def to_end(self, nodes: Nodes, address: str, console: Console) -> float:
        """Seconds it took."""
        started, end = time.monotonic(), None
        self.watchdog = Watchdog(self.command.progress, self.recipe.recovery.stall_minutes)
        argv = [str(envs.interpreter(self.command.environment)), *self.command.argv]
        environ = {
            "PYTHONPATH": str(import_path()),
            "RAY_ADDRESS": address,
            **loggers.offline(self.recipe.loggers),
            CONFIGURED: os.environ.get(CONFIGURED, ""),
            **self.command.environ,
        }
        directory = self.stage.directory
        tell = console.telling(self.stage, self.command)
        for item in nodes.run(self.command.nodes, argv, environ, directory, self.log):
            if isinstance(item, int):
                tell()
                self._watch(nodes, said=item > 0)
            else:
                end = item
        self.watchdog.stalled(said=True)  # reads the last step
        if end is not None and end.exit.code != 0:
            raise AttemptError(self._died(end), end.log)
        if (progress := self.command.progress) and (told := lacking(progress)):
            death = Death(self._place(), True, told, final=SHORT)
            raise AttemptError(death, end.log if end else self.log)
        return time.monotonic() - started

    def _watch(self, nodes: Nodes, said: bool) -> None:
        if not said and not self.session.alive():
            raise ConnectionError("Ray's own processes on this machine are gone")
        if self.watchdog.stalled(said):
            nodes.dump_stacks(self.log)
            minutes = self.recipe.recovery.stall_minutes
            cause = f"no log line and no progress for {minutes:g} minutes (stacks beside the log)"
            moved = self.watchdog.step is not None
            raise AttemptError(Death(self._place(), moved, cause), self.log)

    def _died(self, end: End) -> Death:
        with end.log.open("rb") as file:
            file.seek(max(0, end.log.stat().st_size - TAIL_BYTES))
            tail = file.read().decode(errors="replace")
        name, moved = self.stage.name, self.watchdog.step is not None
        free = shutil.disk_usage(end.log.parent).free
        cause, advice, mendable = explain(self.recipe, name, *end.exit, tail, free)
        final = None if mendable else AGAIN
        if self.command.argv[1].startswith(CHECKS):
            final = "the trainer's own parser refuses its configuration"
        elif end.exit.code == os.EX_DATAERR:
            final = "the same data and recipe would end the same way"
        elif not moved and end.exit.code < SIGNALLED:
            final = "it failed before its first step, and would again"
        return Death(self._place(), moved, cause, advice, final)

    def _place(self) -> str:
        step = self.watchdog.step
        where = f"{self.command.argv[1]} (environment {self.command.environment})"
        return where if step is None else f"{where} after step {step:g}"
