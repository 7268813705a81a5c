"""The table of predictions, one row a question, checkpoint and condition, as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.evaluation.config import EvaluationError
from reward_plugins.files import replacement


class Prediction(NamedTuple):
    """One checkpoint's answer to one question of a benchmark."""

    benchmark: str
    checkpoint: str
    model: str
    """Hash of the weights, the configuration and the tokenizer; of a server, see `served`."""
    sample_id: str
    """Unique within the benchmark."""
    condition: str
    clip: str
    response: str | None
    """None where the engine failed."""
    error: str | None
    tokens: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0
    probabilities: list[float] | None = None
    """See `orchestrator.evaluation.ledger.Answer`, as for the three before."""


def write_predictions(path: Path, rows: Sequence[Prediction]) -> None:
    """Write `rows` to Parquet, atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(*rows, strict=True) if rows else [()] * len(Prediction._fields)
    data = dict(zip(Prediction._fields, map(list, columns), strict=True))
    with replacement(path) as partial:
        pq.write_table(pa.table(data, schema=_schema()), partial)


def read_predictions(path: Path) -> list[Prediction]:
    """Read what `write_predictions` wrote; `EvaluationError` where it is something else."""
    import pyarrow.parquet as pq

    if not path.is_file():
        raise FileNotFoundError(f"no predictions at {path}: run the evaluation first (make eval)")
    table = pq.read_table(path)
    if table.column_names != list(Prediction._fields):
        raise EvaluationError(f"{path} holds {table.column_names}, not predictions of this project")
    columns = (table.column(name).to_pylist() for name in Prediction._fields)
    return [Prediction(*row) for row in zip(*columns, strict=True)]


def _schema() -> object:
    import pyarrow as pa

    types = {
        "tokens": pa.int64(),
        "prompt_tokens": pa.int64(),
        "seconds": pa.float64(),
        "probabilities": pa.list_(pa.float64()),
    }
    return pa.schema({name: types.get(name, pa.string()) for name in Prediction._fields})
