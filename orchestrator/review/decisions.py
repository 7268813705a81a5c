"""People's verdicts on trajectories, in a file that only grows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_builders.sample import Sample
from reward_plugins.errors import CamReasonerError

REASONS = (
    "the observation is wrong",
    "the reasoning does not follow",
    "the answer is wrong",
    "it betrays that it knew the answer",
    "the clip or the question is unusable",
    "other",
)
"""Why a trajectory is rejected; the page gives them the keys 1 to 6."""


class DecisionsError(CamReasonerError, ValueError):
    """A file of decisions with a row that can't be read."""


class Decision(BaseModel):
    """One reviewer's verdict on one trajectory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reviewer: str = Field(min_length=1, max_length=80, pattern=r"^\S(.*\S)?$")
    sample_id: str
    trace: str
    """Digest of what was judged: a trajectory written anew needs a verdict of its own."""
    verdict: Literal["accept", "reject"]
    reason: str = ""
    note: str = Field(default="", max_length=2000)
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @model_validator(mode="after")
    def _a_rejection_says_why(self) -> Decision:
        if (self.verdict == "reject") != (self.reason in REASONS) or (
            self.verdict == "accept" and self.reason
        ):
            raise ValueError(f"{self.verdict} with reason {self.reason!r}; known: {REASONS}")
        return self


def trace_digest(sample: Sample) -> str:
    """Of all that a reviewer judges."""
    shown = sample.model_dump_json(include={"media", "question", "options", "answer"})
    text = "\0".join((shown, sample.observation or "", sample.think or ""))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Decisions:
    """The decisions of all reviewers in one file, which several processes may share."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._lock = path, FileLock(f"{path}.lock")

    def add(self, decision: Decision) -> None:
        """Keep `decision`; it is on disk when this returns."""
        row = decision.model_dump_json().encode() + b"\n"
        with self._lock, self._path.open("a+b", buffering=0) as file:
            size = _whole_rows(self._path.read_bytes())
            file.truncate(size)  # half a row of a process that was killed
            if file.write(row) != len(row):
                file.truncate(size)
                raise OSError(f"{self._path}: a row was written in part; is the disk full?")
            os.fsync(file.fileno())

    def latest(self, samples: Iterable[Sample]) -> dict[tuple[str, str], Decision]:
        """The last decision of each (reviewer, sample id) on what `samples` say now."""
        wanted = {sample.id: trace_digest(sample) for sample in samples}
        found = {(d.reviewer, d.sample_id): d for d in self._read()}
        return {key: d for key, d in found.items() if wanted.get(d.sample_id) == d.trace}

    def _read(self) -> list[Decision]:
        if not self._path.exists():
            return []
        data = self._path.read_bytes()
        rows = data[: _whole_rows(data)].splitlines()
        return [self._parse(number, row) for number, row in enumerate(rows, start=1)]

    def _parse(self, number: int, row: bytes) -> Decision:
        try:
            return Decision.model_validate_json(row)
        except ValidationError as error:
            raise DecisionsError(
                f"{self._path}, line {number} is damaged: remove that line, and review it again "
                f"({error.errors()[0]['msg']})"
            ) from error


def _whole_rows(data: bytes) -> int:
    return data.rfind(b"\n") + 1
