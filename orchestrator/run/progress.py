"""How far a command is, read from the file that it writes its progress to."""

from __future__ import annotations

import json
from collections import deque
from os import SEEK_END
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.plan.stage import Progress

LONGEST_ROW = 65_536
"""Bytes; verl's rows have 4,000."""
PACE_SECONDS = 120.0
"""The pace is that of the last two minutes."""


class ProgressRows:
    """Follows a file of one JSON object a line, from its present state on.

    A trainer may write its last row again with more in it, and a resumed one takes rows back: so
    the end of the file is read whenever it has changed, and not what was added.
    """

    def __init__(self, spec: Progress) -> None:
        self._spec = spec
        self._path = Path(spec.path)
        self._seen = self._state()

    def latest(self) -> tuple[float, float | None, str] | None:
        """Steps done, steps in all and the metric of the newest whole row, if the file changed."""
        state = self._state()
        if state == self._seen or (last := self.last()) is None:
            return None
        self._seen = state
        return last

    def last(self) -> tuple[float, float | None, str] | None:
        """The same of the last row; None without one, and while it is being written."""
        spec, row = self._spec, self._last_row()
        if row is None:
            return None
        total = _dig(row, spec.total) if isinstance(spec.total, str) else spec.total
        value = _dig(row, spec.metric) if spec.metric else row.get("what")
        label = spec.label or spec.metric.rpartition(".")[2]
        metric = f"{label} {value:.3f}" if isinstance(value, float) else str(value or "")
        return float(_dig(row, spec.step) or 0), total, metric

    def _state(self) -> tuple[int, int] | None:
        if not self._path.exists():
            return None
        status = self._path.stat()
        return status.st_size, status.st_mtime_ns

    def _last_row(self) -> dict[str, Any] | None:
        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, SEEK_END) - LONGEST_ROW))
            lines = file.read().split(b"\n")[:-1]
        try:
            row: dict[str, Any] = json.loads(lines[-1])
        except (IndexError, ValueError):
            return None
        return row


def lacking(spec: Progress) -> str | None:
    """What an ended command of `whole` progress left undone; None where that is nothing."""
    if not spec.whole:
        return None
    done, total, _ = ProgressRows(spec).last() or (0.0, None, "")
    if done == total:
        return None
    return (
        f"{done:g} of the {'unknown number of' if total is None else f'{total:g}'} updates planned"
    )


class Position(NamedTuple):
    """Where a command is."""

    done: float
    total: float | None
    metric: str
    rate: float | None
    """Steps a second; None before two are done."""

    @property
    def left(self) -> float | None:
        """Seconds to the end, where that is known."""
        if self.total is None or not self.rate:
            return None
        return max(0.0, self.total - self.done) / self.rate

    def __str__(self) -> str:
        parts = [f"{self.done:g} of {f'{self.total:g}' if self.total else '?'}", self.metric]
        parts += [pace(self.rate)] if self.rate else []
        parts += [f"{clock(self.left)} left"] if self.left is not None else []
        return ", ".join(part for part in parts if part)


class Follower:
    """The position of one command over time."""

    def __init__(self, spec: Progress) -> None:
        self._rows = ProgressRows(spec)
        self._seen: deque[tuple[float, float]] = deque()
        self.position: Position | None = None

    def look(self, now: float) -> bool:
        """Read what is new at the time `now`, in seconds; whether there was anything."""
        row = self._rows.latest()
        if row is None:
            return False
        done, total, metric = row
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # another loop of the command, or a resumed one
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - PACE_SECONDS:
            self._seen.popleft()
        self.position = Position(done, total, metric, self._rate())
        return True

    def _rate(self) -> float | None:
        (then, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - then) if now > then and last > first else None


def pace(rate: float) -> str:
    """Steps a second, or seconds a step where those are more than one."""
    if rate < 1:
        return f"{1 / rate:.1f} s/step"
    return f"{rate:.2g}/s" if rate < 10 else f"{rate:.0f}/s"


def clock(seconds: float) -> str:
    """`75` as `1 min 15 s`."""
    hours, rest = divmod(int(seconds), 3600)
    if hours:
        return f"{hours} h {rest // 60:02d} min"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _dig(row: dict[str, Any], dotted: str) -> Any:
    """`row["data"]["critic/rewards/mean"]` for `data.critic/rewards/mean`."""
    head, _, rest = dotted.partition(".")
    value = row.get(head)
    return _dig(value, rest) if rest and isinstance(value, dict) else value
