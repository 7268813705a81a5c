"""Answers on disk: one file a model, one JSON object a line, keyed by all that made each."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from orchestrator.evaluation.config import EvalConfig
from reward_plugins.rows import append_rows, read_rows

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What a model made of one question."""

    response: str | None
    """None where the engine failed."""
    error: str | None
    tokens: int = 0
    """Tokens of the response, the end of the turn included."""
    prompt_tokens: int = 0
    """Tokens of the prompt, visual ones included; 0 where the engine does not tell."""
    seconds: float = 0.0
    """The batch's wall time, shared out evenly."""
    probabilities: list[float] | None = None
    """Of each option's letter where the response gives its answer; None where the engine does not
    tell."""


class Ledger:
    """Answers of one model by key; raises `RowError` for a row that can't be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = dict(read_rows(path, _row))

    def __contains__(self, key: str) -> bool:
        return key in self._rows and self._rows[key].error is None

    def get(self, key: str) -> Answer | None:
        """The answer, or the error, under `key`; None where the question was never put."""
        return self._rows.get(key)

    def append(self, rows: Iterable[tuple[str, Answer]]) -> None:
        """Add rows, and return once they are on disk."""
        rows = list(rows)
        append_rows(self._path, ([key, *row] for key, row in rows))
        self._rows.update(rows)


@contextmanager
def opened(answers: Path, model: str) -> Iterator[Ledger]:
    """The ledger of `model`, for this process alone: another evaluation of the model waits.

    What the other one answers meanwhile is then here.
    """
    answers.mkdir(parents=True, exist_ok=True)
    lock = FileLock(answers / f"{model}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another evaluation is asking this model; waiting for its answers")
        lock.acquire()
    try:
        yield Ledger(answers / f"{model}.jsonl")
    finally:
        lock.release()


def question_key(sample_id: str, turn: Sequence[str], engine: str, config: EvalConfig) -> str:
    """Names everything but the model that an answer depends on.

    `turn` is what is said before it: the system's turn, the user's texts, and the keys of the
    frames between them. A benchmark's name is
    no part of it: RefineShot shares most questions with ShotBench.
    """
    parts = [
        sample_id,
        *turn,
        engine,
        config.versions[engine],
        config.max_new_tokens,
    ]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _row(row: list[Any]) -> tuple[str, Answer]:
    key, *fields = row
    return key, Answer(*fields)
