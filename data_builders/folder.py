"""Your own clips: a folder of them, and a file with a question a row.

    clip,question,options,answer
    walk.mp4,Which way does the camera turn?,left|right,left

JSON lines take the same fields, with `options` as a list. `answer` is an option or its letter; a
question without options has any answer, for a reward of your own (`rl.reward.function`). Optional:
`id`, `category`, `task` (as `tasks` names it), `split` (train or test; train by default),
and `observation` and `think` for a question whose trace is written already.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_builders.annotations import AnnotationsError, Row, read_rows, said
from data_builders.media import whole
from data_builders.options import plain_answer, right_letter, without_letters
from data_builders.sample import Sample

PREFIX = "folder/"
"""Of the clips' paths beside the samples."""

_PLACE = re.compile(r"<(?:video|image)>(?:\\n)*")
"""Of another tool, with the line's end behind it as CSV files spell it."""


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

    @model_validator(mode="before")
    @classmethod
    def _as_people_write(cls, row: Any) -> Any:
        """Spaces around texts, options in one text, empty fields, a placeholder of another tool."""
        if not isinstance(row, dict):
            return row
        texts = {k: v.strip() if isinstance(v, str) else v for k, v in row.items()}
        if isinstance(options := texts.get("options"), str):
            texts["options"] = options.split("|")
        if isinstance(question := texts.get("question"), str):
            texts["question"] = _PLACE.sub("", question).strip()
        return {name: value for name, value in texts.items() if value not in (None, "")}


def questions(path: Path) -> list[Sample]:
    """Samples of a `.csv`, `.tsv`, `.json` or `.jsonl` file, in its order.

    Raises `AnnotationsError` with the row that can't be asked, and for an id that occurs twice.
    """
    if not path.is_file():
        raise AnnotationsError(f"data.folder.questions: no file at {path}")
    samples = [_sample(row, at, n) for n, (at, row) in enumerate(read_rows(path), start=1)]
    if len({sample.id for sample in samples}) < len(samples):
        raise AnnotationsError(f"{path}: an id occurs twice; give each row its own, or none any")
    return samples


def _sample(fields: Row, where: str, number: int) -> Sample:
    try:
        row = _Row.model_validate(fields)
        options = without_letters(row.options)
        is_binary = {option.casefold() for option in options} == {"no", "yes"}
        return Sample(
            id=f"folder_{row.id or number}",
            dataset="folder",
            split=row.split,
            task=row.task or ("binary" if is_binary else "multiple_choice"),
            category=row.category,
            media=(whole(PREFIX + row.clip),),
            question=row.question,
            options=options,
            answer=right_letter(row.answer, options) if options else plain_answer(row.answer),
            observation=row.observation,
            think=row.think,
        )
    except ValueError as error:
        raise AnnotationsError(
            f"{where} is no question that can be asked: {said(error)}"
        ) from error
