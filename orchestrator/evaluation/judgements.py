"""A judge's verdicts on disk, one JSON array a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from orchestrator.evaluation.config import EvaluationError
from orchestrator.evaluation.judge_prompts import Reading
from reward_plugins.files import write_file


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
    """Read what `write_judgements` wrote; `EvaluationError` names a bad line."""
    if not path.is_file():
        raise FileNotFoundError(f"no judgements at {path}: run the evaluation again (make eval)")
    found = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            benchmark, checkpoint, sample_id, reading, adherent = json.loads(line)
            read = None if reading is None else Reading(*reading)
            found.append(Judgement(benchmark, checkpoint, sample_id, read, adherent))
        except (ValueError, TypeError) as error:
            raise EvaluationError(f"{path}:{number} is no judgement ({error})") from error
    return found
