"""People's verdicts on trajectories, in a file that only grows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_builders.sample import Sample
from reward_plugins.rows import append_rows, read_rows

REASONS = (
    "the observation is wrong",
    "the reasoning does not follow",
    "the answer is wrong",
    "it betrays that it knew the answer",
    "the clip or the question is unusable",
    "other",
)
"""Why a trajectory is rejected; the page gives them the keys 1 to 6."""


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
        self._path = path

    def add(self, decision: Decision) -> None:
        """Keep `decision`; it is on disk when this returns."""
        append_rows(self._path, [decision.model_dump(mode="json")])

    def latest(self, samples: Iterable[Sample]) -> dict[tuple[str, str], Decision]:
        """The last decision of each (reviewer, sample id) on what `samples` say now.

        Raises `RowError` for one that can't be read.
        """
        traces = {sample.id: trace_digest(sample) for sample in samples}
        rows = read_rows(self._path, Decision.model_validate)
        last = {(d.reviewer, d.sample_id): d for d in rows}
        return {key: d for key, d in last.items() if traces.get(d.sample_id) == d.trace}
