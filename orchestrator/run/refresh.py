"""Keep `runs/<name>/report/` fresh while a trainer works, at a hundredth of a core."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGTERM

from orchestrator import envs
from orchestrator.console import Console
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import ROOT, Stage
from orchestrator.run import store

SHARE = 0.01
"""Of one core, over the time that the stage has run."""
FIRST_SECONDS = 3.0
"""CPU time of a refresh, until one is measured."""
LOOK_SECONDS = 5.0


@contextmanager
def refreshed(plan: Plan, stage: Stage, console: Console) -> Iterator[None]:
    """Write the report again and again while `stage` trains; nothing for other stages."""
    names = [other.name for other in plan.stages]
    if stage.training is None or "report" not in names or store.is_done(stage):
        yield
        return
    report = plan.stage("report")
    refresher = Refresher(command(report), stage, report.directory / "logs" / "live.log", console)
    if not store.is_done(report):
        store.write_files(report)
        store.show_in_run(plan, report)
        refresher.start()
    try:
        yield
    finally:
        refresher.stop()


def command(report: Stage) -> list[str]:
    """The report stage's own command, as a page of a run that goes on."""
    (own,) = report.commands
    return ["nice", "-n", "19", str(envs.interpreter(own.environment)), *own.argv, "--live"]


class Refresher(threading.Thread):
    """Runs a command each time that there are new metrics and CPU time to spend on it."""

    def __init__(self, argv: Sequence[str], stage: Stage, log: Path, console: Console) -> None:
        super().__init__(name="report", daemon=True)
        self._argv, self._console, self._log = argv, console, log
        self._files = [Path(c.progress.path) for c in stage.commands if c.progress]
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._spent, self._cost, self._seen = 0.0, FIRST_SECONDS, self._written()

    def run(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(LOOK_SECONDS):
            if self.is_due(time.monotonic() - started, self._written()) and not self._refresh():
                self._console.say(f"[yellow]the report can't be refreshed; see {self._log}[/]")
                return

    def is_due(self, seconds: float, written: float) -> bool:
        """Whether another refresh fits the share after `seconds`, with metrics of `written`."""
        return written > self._seen and self._spent + self._cost <= SHARE * seconds

    def stop(self) -> None:
        """End a refresh that is under way, and start no other."""
        self._ended.set()
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, SIGTERM)
        if self.ident is not None:
            self.join()

    def _refresh(self) -> bool:
        self._seen = self._written()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._argv, cwd=ROOT, stdout=log, stderr=log)
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
        done = self._process.returncode == 0 or self._ended.is_set()
        self._process = None
        self._cost = usage.ru_utime + usage.ru_stime
        self._spent += self._cost
        return done

    def _written(self) -> float:
        return max((f.stat().st_mtime for f in self._files if f.exists()), default=0.0)
