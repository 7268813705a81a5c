"""ShotBench's test questions (Liu et al. 2025; Apache-2.0).

They are about eight dimensions of cinematography: 3,572 questions on 3,108 images and 464 video
clips.
"""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from data_builders.annotations import AnnotationsError
from data_builders.media import Item, Kind
from data_builders.sample import LETTERS, Sample

COUNTS = {
    "lens_size": 489,
    "shot_size": 485,
    "composition": 479,
    "camera_movement": 464,
    "camera_angle": 455,
    "shot_framing": 445,
    "lighting_type": 405,
    "lighting": 350,
}
"""Questions of each dimension in the released test.tsv."""


def questions(tsv: Path) -> list[Sample]:
    """Every question of ShotBench's test.tsv, in its order.

    `category` is the dimension with underscores.
    Raises `AnnotationsError` with the row that can't be read.
    """
    with _opened(tsv) as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [_question(row, f"{tsv}, row {number}") for number, row in enumerate(rows, start=1)]


def camera_movement(samples: Iterable[Sample]) -> list[Sample]:
    """The camera-movement questions: 464 in the test set, each on a clip of its own."""
    return [s for s in samples if s.category == "camera_movement"]


class _Row(BaseModel):
    index: int
    type: list[Kind]
    path: list[str]
    question: str
    options: dict[str, str]
    answer: str
    category: str


def _question(fields: dict[str, str], where: str) -> Sample:
    try:
        row = _Row.model_validate(
            {**fields, **{k: _literal(fields[k]) for k in ("type", "path", "options")}}
        )
        (kind,), (path,) = row.type, row.path
        letters = tuple(LETTERS[: len(row.options)])
        if tuple(row.options) != letters:
            raise ValueError(f"options are {', '.join(row.options)}, not {', '.join(letters)}")
        return Sample(
            id=f"shotbench_{row.index}",
            dataset="shotbench",
            split="test",
            task="multiple_choice",
            category=row.category.strip().replace(" ", "_"),
            media=(Item(kind=kind, path=f"shotbench/{path}"),),
            question=row.question,
            options=tuple(row.options.values()),
            answer=row.answer.strip(),
        )
    except (KeyError, ValueError) as error:  # ValidationError and JSONDecodeError are ValueErrors
        _refuse(where, error)


def _literal(text: str) -> Any:
    """Columns hold JSON, or a Python list in single quotes."""
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise AnnotationsError(f"no file at {path}: run the data stage to fetch it")
    return path.open(encoding="utf-8", newline="")


def _refuse(where: str, error: Exception) -> NoReturn:
    what = str(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
    raise AnnotationsError(f"{where} is no question that can be asked: {what}") from error
