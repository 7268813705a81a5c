"""Notices a command that stands still: no new log line, and no new record of its progress."""

from __future__ import annotations

import time

from orchestrator.plan.stage import Progress
from orchestrator.run.progress import ProgressRows


class Watchdog:
    """Watches one command. `step` is the last one it made since the watch began, if any."""

    def __init__(self, progress: Progress | None, minutes: float) -> None:
        self.step: float | None = None
        self._rows = ProgressRows(progress) if progress else None
        self._patience = 60 * minutes
        self._moved = time.monotonic()

    def stalled(self, said: bool) -> bool:
        """Whether nothing has moved for too long; `said`: the command has just logged something."""
        row = self._rows.latest() if self._rows else None
        if row is not None:
            self.step = row[0]
        if said or row is not None:
            self._moved = time.monotonic()
        return time.monotonic() - self._moved > self._patience
