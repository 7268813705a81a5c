"""A run's metrics as JSON lines, one a step, without gaps or duplicates across resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reward_plugins.files import write_file


class MetricsHistory:
    """`{"step", "total", "data"}` rows in a file that a resumed run goes on with.

    A resumed trainer goes back to its checkpoint and logs again what came after it: rows of later
    steps go, and a step that is there already takes the new values. So do the several rows that a
    trainer logs for one step. A last line that a crash cut short goes too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total: int | None = None
        """Steps planned, in every row from now on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._steps: list[tuple[int, int]] = []  # step, and where its line starts
        self._end = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            if line.endswith(b"\n"):
                self._steps.append((json.loads(line)["step"], self._end))
                self._end += len(line)

    def log(self, data: Mapping[str, Any], step: int) -> None:
        """Write the metrics of `step` to the disk; numbers of other libraries become Python's."""
        known = self.path.read_bytes() if self.path.exists() else b""
        metrics = {**self._taken_back(known, step), **data}
        total = {} if self.total is None else {"total": self.total}
        row = {"step": step, **total, "data": metrics}
        line = json.dumps(row, separators=(",", ":"), default=_number).encode() + b"\n"
        if self._end == len(known):
            _write(self.path, "ab", line)
        else:  # a crash leaves the old rows or the new ones
            write_file(self.path, known[: self._end] + line)
        self._steps.append((step, self._end))
        self._end += len(line)

    def finish(self) -> None:
        """Trainers call this at the end; each line is already written."""

    def _taken_back(self, known: bytes, step: int) -> dict[str, Any]:
        """Forget rows from `step` on; the metrics of `step` itself, if it was there."""
        metrics: dict[str, Any] = {}
        while self._steps and self._steps[-1][0] >= step:
            last, self._end = self._steps.pop()
            if last == step:
                metrics = json.loads(known[self._end :].splitlines()[0])["data"]
        return metrics


def _write(path: Path, mode: str, content: bytes) -> None:
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _number(value: Any) -> Any:
    """A number of NumPy or torch as Python's, anything else as its text."""
    return value.item() if hasattr(value, "item") else str(value)
