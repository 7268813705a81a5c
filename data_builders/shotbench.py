"""ShotBench's test questions and ShotQA's training questions (Liu et al. 2025).

ShotBench (Apache-2.0) asks about eight dimensions of cinematography: 3,572 questions on 3,108
images and 464 video clips. ShotQA (gated, CC BY-NC-ND) is the training set of ShotVL.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from data_builders.camerabench import AnnotationsError
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

_OPTION = re.compile(r"^\s*([A-Z])[.):]\s*(.+?)\s*$", re.MULTILINE)


def questions(tsv: Path) -> list[Sample]:
    """Every question of ShotBench's test.tsv, in its order.

    `category` is the dimension with underscores; `provenance["media"]` is "image" or "video".
    Raises `AnnotationsError` with the row that can't be read.
    """
    with _opened(tsv) as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [_question(row, f"{tsv}, row {number}") for number, row in enumerate(rows, start=1)]


def camera_movement(samples: Iterable[Sample]) -> list[Sample]:
    """The camera-movement questions: 464 in the test set, each on a clip of its own."""
    return [s for s in samples if s.category == "camera_movement"]


def shotqa(jsonl: Path) -> list[Sample]:
    """ShotQA's multiple-choice questions, one chat a line: `messages` and `images` or `videos`.

    The user's turn ends in options ("A. text", one a line); the assistant's names one by letter
    or by text. Raises `AnnotationsError` with the line that doesn't.
    """
    with _opened(jsonl) as file:
        lines = [line for line in file if line.strip()]
    return [_chat(line, f"{jsonl}, line {n}", n) for n, line in enumerate(lines, start=1)]


class _Row(BaseModel):
    index: int
    type: list[str]
    path: list[str]
    question: str
    options: dict[str, str]
    answer: str
    category: str


class _Turn(BaseModel):
    role: str
    content: str


class _Chat(BaseModel):
    messages: list[_Turn]
    images: list[str] = []
    videos: list[str] = []


def _question(fields: dict[str, str], where: str) -> Sample:
    try:
        row = _Row.model_validate(
            {**fields, **{k: _literal(fields[k]) for k in ("type", "path", "options")}}
        )
        (media,), (path,) = row.type, row.path
        letters = tuple(LETTERS[: len(row.options)])
        if tuple(row.options) != letters:
            raise ValueError(f"options are {', '.join(row.options)}, not {', '.join(letters)}")
        return Sample(
            id=f"shotbench_{row.index}",
            dataset="shotbench",
            split="test",
            task="multiple_choice",
            category=row.category.strip().replace(" ", "_"),
            clip=f"shotbench/{path}",
            question=row.question,
            options=tuple(row.options.values()),
            answer=row.answer.strip(),
            provenance={"media": media},
        )
    except (KeyError, ValueError) as error:  # ValidationError and JSONDecodeError are ValueErrors
        _refuse(where, error)


def _chat(line: str, where: str, number: int) -> Sample:
    try:
        chat = _Chat.model_validate_json(line)
        asked = next(t.content for t in chat.messages if t.role == "user")
        said = next(t.content for t in chat.messages if t.role == "assistant").strip()
        ((media, path),) = [("image", p) for p in chat.images] + [("video", p) for p in chat.videos]
        options = tuple(text for _, text in _OPTION.findall(asked))
        question = _OPTION.split(asked)[0]
        question = re.sub(r"<image>|<video>|Question:|Options:", "", question).strip()
        return Sample(
            id=f"shotqa_{number}",
            dataset="shotqa",
            split="train",
            task="multiple_choice",
            category=_dimension(question),
            clip=f"shotqa/{path}",
            question=question,
            options=options,
            answer=LETTERS[options.index(said)] if said in options else said[:1],
            provenance={"media": media},
        )
    except (StopIteration, ValueError) as error:
        _refuse(where, error)


def _dimension(question: str) -> str:
    words = question.lower()
    return next(
        (name for name in sorted(COUNTS, key=len)[::-1] if name.replace("_", " ") in words), "other"
    )


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
