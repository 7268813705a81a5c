"""Your own clips: a folder of them, and a file with a question a row.

    clip,question,options,answer
    walk.mp4,Which way does the camera turn?,left|right,left

JSON lines take the same fields, with `options` as a list. `answer` is an option or its letter; a
question without options has any answer, for a reward of your own (`rl.reward.function`). Optional:
`id`, `category`, `task` (as `rl.reward.tasks` names it), `split` (train or test; train by default),
and `observation` and `think` for a question whose trace is written already.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_builders.camerabench import AnnotationsError
from data_builders.media import whole
from data_builders.sample import LETTERS, Sample

PREFIX = "folder/"
"""Of the clips' paths beside the samples."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clip: str = Field(min_length=1)
    question: str = Field(min_length=1)
    options: tuple[str, ...] = ()
    answer: str = Field(min_length=1)
    id: str | None = None
    category: str = "folder"
    task: str | None = None
    split: Literal["train", "test"] = "train"
    observation: str | None = None
    think: str | None = None


def questions(path: Path) -> list[Sample]:
    """Samples of a `.csv` or `.jsonl` file, in its order.

    Raises `AnnotationsError` with the row that can't be asked, and for an id that occurs twice.
    """
    if not path.is_file():
        raise AnnotationsError(f"data.folder.questions: no file at {path}")
    samples = [_sample(row, f"{path}, row {n}", n) for n, row in enumerate(_rows(path), start=1)]
    if len({sample.id for sample in samples}) < len(samples):
        raise AnnotationsError(f"{path}: an id occurs twice; give each row its own, or none any")
    return samples


def _rows(path: Path) -> list[Any]:
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                return [_unquoted(row) for row in csv.DictReader(file)]
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (ValueError, csv.Error) as error:
        raise AnnotationsError(f"{path} is neither CSV (.csv) nor JSON lines: {error}") from error


def _unquoted(row: dict[str, str]) -> dict[str, Any]:
    """A CSV row without its empty fields, its options apart."""
    given = {name: text for name, text in row.items() if text}
    options = given.get("options")
    return {**given, "options": [o.strip() for o in options.split("|")] if options else []}


def _sample(fields: Any, where: str, number: int) -> Sample:
    try:
        row = _Row.model_validate(fields)
        answer = row.answer
        if answer in row.options:
            answer = LETTERS[row.options.index(answer)]
        if len(row.options) == 1:
            raise ValueError(f"one option alone, {row.options[0]!r}; separate options by |")
        is_binary = {option.lower() for option in row.options} == {"no", "yes"}
        return Sample(
            id=f"folder_{row.id or number}",
            dataset="folder",
            split=row.split,
            task=row.task or ("binary" if is_binary else "multiple_choice"),
            category=row.category,
            media=(whole(PREFIX + row.clip),),
            question=row.question,
            options=row.options,
            answer=answer,
            observation=row.observation,
            think=row.think,
        )
    except ValueError as error:
        raise AnnotationsError(f"{where} is no question that can be asked: {error}") from error
