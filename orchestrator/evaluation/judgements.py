"""A judge's verdicts on disk, one JSON array a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.evaluation.judge_prompts import Reading
from reward_plugins.files import write_file
from reward_plugins.rows import read_rows


class Judgement(NamedTuple):
    """What the judge made of one response. None is a failure: no reply, or an unreadable one."""

    benchmark: str
    checkpoint: str
    sample_id: str
    reading: Reading | None
    adherent: bool | None


def write_judgements(path: Path, rows: Iterable[Judgement]) -> None:
    """Write `rows`, atomically."""
    write_file(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_judgements(path: Path) -> list[Judgement]:
    """Read what `write_judgements` wrote; `RowError` names a bad line."""
    if not path.is_file():
        raise FileNotFoundError(f"no judgements at {path}: run the evaluation again (make eval)")
    return list(read_rows(path, _judgement))


def _judgement(row: list[Any]) -> Judgement:
    benchmark, checkpoint, sample_id, reading, adherent = row
    read = None if reading is None else Reading(*reading)
    return Judgement(benchmark, checkpoint, sample_id, read, adherent)
