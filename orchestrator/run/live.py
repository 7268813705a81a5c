"""The live view of a terminal: a row a stage, or a row an arm, and the machine's memory.

It reads files alone (logs, progress, manifests), so it shows what other processes run as well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import psutil
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.plan.stage import Stage
from orchestrator.plan.whole import is_finished, read_manifest
from orchestrator.run.gpus import gpu_memory
from orchestrator.run.progress import Follower, clock, pace

LOOK_SECONDS = 1.0
GPU_SECONDS = 15.0
"""Between two questions to the driver, which takes a moment to answer."""
BAR_WIDTH = 24


class View:
    """What rich draws: rows of stages by their label. Drawn anew at most once a second."""

    def __init__(self, rows: Mapping[str, Sequence[Stage]]) -> None:
        self._rows = [_Row(label, stages) for label, stages in rows.items()]
        self._machine = Machine()
        self._drawn, self._table = -LOOK_SECONDS, Table()

    def __rich__(self) -> Table:
        now = time.monotonic()
        if now - self._drawn >= LOOK_SECONDS:
            self._drawn, self._table = now, self.draw(now)
        return self._table

    def draw(self, now: float) -> Table:
        """The table as it is at `now`, in seconds of the monotonic clock."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("", "", "step", "", "pace", "left", "time"):
            table.add_column(name, justify="right" if name in ("pace", "left", "time") else "left")
        for row in self._rows:
            table.add_row(*row.cells(now))
        table.caption, table.caption_justify = self._machine.text(now), "left"
        return table


class _Row:
    """One stage after the other; shown is the first that is not done."""

    def __init__(self, label: str, stages: Sequence[Stage]) -> None:
        self._label, self._stages, self._is_arm = label, list(stages), len(stages) > 1
        self._since, self._started = time.time(), 0.0
        self._followers: list[Follower] | None = None
        self._shown: Follower | None = None

    def cells(self, now: float) -> tuple[str | Text | ProgressBar, ...]:
        stage = self._current()
        if stage is None:
            last = self._stages[-1]
            took = read_manifest(last.directory)["seconds"] if not self._is_arm else None
            return self._cells("green", "✔", time=clock(took) if took is not None else "")
        name = stage.name if self._is_arm else ""
        if not self._is_running(stage):
            return self._cells("dim", "·", metric=name)
        if self._followers is None:
            specs = [c.progress for c in stage.commands if c.progress]
            self._followers, self._started = [Follower(spec) for spec in specs], now
        for follower in self._followers:
            if follower.look(now):
                self._shown = follower
        return self._running(name, now)

    def _running(self, name: str, now: float) -> tuple[str | Text | ProgressBar, ...]:
        took = clock(now - self._started)
        at = self._shown.position if self._shown else None
        if at is None:
            return self._cells("bold cyan", "▶", metric=name, time=took)
        bar = ProgressBar(at.total, at.done, width=BAR_WIDTH)
        step = f"{at.done:g}/{at.total:g}" if at.total else f"{at.done:g}"
        left = clock(at.left) if at.left is not None else ""
        rate = pace(at.rate) if at.rate else ""
        metric = f"{name}  {at.metric}".strip()
        cells = self._cells("bold cyan", "▶", step, metric, rate, left, took)
        return cells[0], bar, *cells[2:]

    def _cells(
        self, style: str, mark: str, step: str = "", metric: str = "", rate: str = "",
        left: str = "", time: str = "",
    ) -> tuple[str | Text | ProgressBar, ...]:  # fmt: skip
        return Text(f"{mark} {self._label}", style), "", step, metric, rate, left, time

    def _current(self) -> Stage | None:
        while self._stages and is_finished(self._stages[0].directory):
            if len(self._stages) == 1:
                return None
            del self._stages[0]
            self._followers = self._shown = None
        return self._stages[0]

    def _is_running(self, stage: Stage) -> bool:
        """Whether an attempt was started since the view was: each has a log."""
        logs = (stage.directory / "logs").glob("attempt_*.log")
        return self._followers is not None or any(
            log.stat().st_mtime >= self._since - LOOK_SECONDS for log in logs
        )


class Machine:
    """Memory of this machine, and of its GPUs where a driver tells."""

    def __init__(self) -> None:
        self._asked, self._gpus = -GPU_SECONDS, ""

    def text(self, now: float) -> str:
        """One line about this machine's memory at `now`."""
        memory = psutil.virtual_memory()
        used = memory.total - memory.available
        if now - self._asked >= GPU_SECONDS:
            self._asked, self._gpus = now, gpu_memory()
        host = f"this machine: {used / 2**30:.1f} of {memory.total / 2**30:.0f} GiB memory"
        return host + self._gpus
