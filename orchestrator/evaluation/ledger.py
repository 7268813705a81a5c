"""Answers on disk: one JSON object a line, synced batch by batch, keyed by all that made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data_builders.frames import FrameMeta
from orchestrator.evaluation.config import EvalConfig, EvaluationError
from orchestrator.evaluation.questions import Question


class Prediction(NamedTuple):
    """One checkpoint's answer to one question."""

    checkpoint: str
    model: str
    """Hash of the weights, the configuration and the tokenizer."""
    sample_id: str
    condition: str
    clip: str
    response: str | None
    """None where the engine failed."""
    error: str | None
    tokens: int
    """Tokens of the response, the end of the turn included."""
    seconds: float
    """The batch's wall time, shared out evenly."""


class Ledger:
    """Predictions by key. A line torn by a crash is dropped when the file is opened."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._rows = dict(_read(path))

    def __contains__(self, key: str) -> bool:
        return key in self._rows and self._rows[key].error is None

    def __getitem__(self, key: str) -> Prediction:
        return self._rows[key]

    def append(self, rows: Iterable[tuple[str, Prediction]]) -> None:
        """Add rows, and return once they are on disk."""
        rows = list(rows)
        with self._path.open("a") as file:
            file.writelines(json.dumps([key, *row]) + "\n" for key, row in rows)
            file.flush()
            os.fsync(file.fileno())
        self._rows.update(rows)

    def export(self, path: Path, keys: Iterable[str]) -> int:
        """Write the predictions of `keys` to Parquet, atomically, and return their number."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = zip(*(self._rows[key] for key in keys), strict=True)
        table = pa.table(dict(zip(Prediction._fields, map(list, columns), strict=True)))
        partial = path.with_name(path.name + ".partial")
        pq.write_table(table.cast(_schema()), partial)
        os.replace(partial, path)
        return int(table.num_rows)


def question_key(
    question: Question, text: str, meta: FrameMeta, model: str, config: EvalConfig
) -> str:
    """Names everything that an answer depends on: another model can't inherit it."""
    parts = [
        model,
        question.sample.id,
        question.condition,
        config.prompt.system,
        text,
        meta.key,
        config.engine,
        config.max_new_tokens,
    ]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def model_hash(checkpoint: Path) -> str:
    """Hash of the files that decide what a checkpoint answers.

    `EvaluationError` where the directory holds no weights.
    """
    suffixes = {".safetensors", ".bin", ".json", ".jinja", ".txt"}
    files = sorted(p for p in checkpoint.glob("*") if p.suffix in suffixes)
    if not any(path.suffix in {".safetensors", ".bin"} for path in files):
        raise EvaluationError(
            f"no weights in {checkpoint}: run the stage that makes this checkpoint"
        )
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read_predictions(path: Path) -> list[Prediction]:
    """Read what `Ledger.export` wrote; `EvaluationError` where it is something else."""
    import pyarrow.parquet as pq

    if not path.is_file():
        raise FileNotFoundError(f"no predictions at {path}: run the evaluation first (make eval)")
    table = pq.read_table(path)
    if table.column_names != list(Prediction._fields):
        raise EvaluationError(f"{path} holds {table.column_names}, not predictions of this project")
    return [Prediction(*row.values()) for row in table.to_pylist()]


def _read(path: Path) -> Iterable[tuple[str, Prediction]]:
    if not path.exists():
        return
    whole = path.read_bytes()
    kept = whole.rfind(b"\n") + 1
    if kept < len(whole):
        os.truncate(path, kept)
    for number, line in enumerate(whole[:kept].splitlines(), start=1):
        try:
            key, *fields = json.loads(line)
            yield key, Prediction(*fields)
        except (ValueError, TypeError) as error:
            raise EvaluationError(
                f"{path}:{number} is no prediction ({error}); remove the line"
            ) from error


def _schema() -> object:
    import pyarrow as pa

    types = {"tokens": pa.int64(), "seconds": pa.float64()}
    return pa.schema({name: types.get(name, pa.string()) for name in Prediction._fields})
