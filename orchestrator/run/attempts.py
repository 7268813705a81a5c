"""Each start of a stage and how it ended: `attempts.jsonl`, one JSON object a line."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from reward_plugins.files import write_file

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
    advice: tuple[str, ...] = ()


class Attempts:
    """The attempts of one stage. Only the owner of its directory may write them."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._logs = directory / "logs"
        self._all = read_attempts(directory)
        if self._all and self._all[-1].outcome == "running":
            log = Path(self._all[-1].log)
            ended = log.stat().st_mtime if log.exists() else self._all[-1].started
            cause = "not noted: the orchestrator or its machine was killed, or the disk was full"
            self._replace_last(outcome="lost", ended=ended, cause=cause)

    def start(self, resumed_from: Path | None) -> Path:
        """Note a new attempt, and return its log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        number = max([len(self._all), *map(_number, self._logs.glob("attempt_*.log"))]) + 1
        log = self._logs / f"attempt_{number}.log"
        source = None if resumed_from is None else resumed_from.name
        self._all.append(Attempt(str(log), time.time(), source))
        self._write()
        return log

    def end(
        self,
        outcome: Outcome,
        place: str | None = None,
        cause: str | None = None,
        advice: tuple[str, ...] = (),
    ) -> None:
        """Note how the last one ended."""
        self._replace_last(
            outcome=outcome, ended=time.time(), place=place, cause=cause, advice=advice
        )

    def _replace_last(self, **facts: object) -> None:
        self._all[-1] = replace(self._all[-1], **facts)  # type: ignore[arg-type]
        self._write()

    def _write(self) -> None:
        lines = (json.dumps(asdict(attempt)) + "\n" for attempt in self._all)
        write_file(self._path, "".join(lines))


def read_attempts(directory: Path) -> list[Attempt]:
    """The attempts of the stage in `directory`, oldest first."""
    path = directory / FILE
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [Attempt(**{**row, "advice": tuple(row["advice"])}) for row in rows]


def _number(log: Path) -> int:
    return int(log.stem.rpartition("_")[2])
