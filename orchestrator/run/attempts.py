"""Each start of a stage and how it ended: a row each of `attempts.jsonl`, which only grows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from reward_plugins.rows import append_rows, read_rows

FILE = "attempts.jsonl"
Outcome = Literal["running", "done", "died", "interrupted", "lost"]
"""`lost`: the orchestrator itself was killed, and could not say more."""


@dataclass(frozen=True)
class Attempt:
    """One start of a stage."""

    log: str
    started: float
    """Seconds since the epoch, as `ended`."""
    resumed_from: str | None = None
    """The checkpoint it went on from."""
    outcome: Outcome = "running"
    ended: float | None = None
    place: str | None = None
    """Where it died: the command, and the step if it made one."""
    cause: str | None = None
    advice: Sequence[str] = ()


class Attempts:
    """The attempts of one stage. Only the owner of its directory may write them."""

    def __init__(self, directory: Path) -> None:
        self._path, self._logs = directory / FILE, directory / "logs"
        last = read_attempts(directory)[-1:]
        if last and last[0].outcome == "running":
            log = Path(last[0].log)
            ended = log.stat().st_mtime if log.exists() else last[0].started
            cause = "not noted: the orchestrator or its machine was killed, or the disk was full"
            append_rows(self._path, [{"outcome": "lost", "ended": ended, "cause": cause}])

    def start(self, resumed_from: Path | None) -> Path:
        """Note a new attempt, and return its log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        number = max([0, *map(_number, logs(self._logs.parent))]) + 1
        log = self._logs / f"attempt_{number}.log"
        log.touch()
        source = resumed_from and resumed_from.name
        row = {"log": str(log), "started": time.time(), "resumed_from": source}
        append_rows(self._path, [row])
        return log

    def end(
        self,
        outcome: Outcome,
        place: str | None = None,
        cause: str | None = None,
        advice: tuple[str, ...] = (),
    ) -> None:
        """Note how the last one ended."""
        how = {"outcome": outcome, "place": place, "cause": cause, "advice": advice}
        append_rows(self._path, [{**how, "ended": time.time()}])


def read_attempts(directory: Path) -> list[Attempt]:
    """The attempts of the stage in `directory`, oldest first."""
    attempts: list[Attempt] = []

    def note(row: Any) -> None:
        if "log" in row:
            attempts.append(Attempt(**row))
        elif attempts and "outcome" in row:
            attempts[-1] = replace(attempts[-1], **row)
        else:
            raise ValueError("neither a start nor an end of an attempt")

    for _ in read_rows(directory / FILE, note):
        pass
    return attempts


def logs(directory: Path) -> list[Path]:
    """The logs of the stage's attempts, oldest first; the user may keep others beside them."""
    every = (directory / "logs").glob("attempt_*.log")
    return sorted((log for log in every if log.stem[8:].isdecimal()), key=_number)


def _number(log: Path) -> int:
    return int(log.stem.rpartition("_")[2])
