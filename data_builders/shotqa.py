"""ShotQA, ShotVL's training questions (Liu et al. 2025; gated, CC BY-NC-ND 4.0).

Chats as ms-swift reads them: `messages`, `images` or `videos`, and for GRPO a `solution` in place
of the assistant's turn. The paper trains on multiple choice; the release also has open questions.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from pydantic import BaseModel

from data_builders.annotations import AnnotationsError, Row, read_rows, said
from data_builders.media import image, video
from data_builders.options import right_letter, split_question
from data_builders.sample import Sample
from data_builders.shotbench import COUNTS

log = logging.getLogger(__name__)

_AROUND = re.compile(r"<image>|<video>|Question:|Options:")


class _Turn(BaseModel):
    role: str
    content: str


class _Chat(BaseModel):
    messages: list[_Turn]
    images: list[str] = []
    videos: list[str] = []
    solution: str | None = None


def questions(path: Path, use: str) -> list[Sample]:
    """Multiple-choice questions of a JSON or JSON-lines file, in its order; `use` marks their ids.

    The user's turn ends in options ("A. text", one a line); the answer names one by letter or by
    text. Questions without options are left out and counted in the log. `category` is ShotBench's
    dimension, "other" where the question names none. Raises `AnnotationsError` with the row that
    can't be read.
    """
    rows = read_rows(path)
    samples = [_sample(row, f"shotqa_{use}_{n}", at) for n, (at, row) in enumerate(rows, start=1)]
    asked = [sample for sample in samples if sample is not None]
    if len(asked) < len(rows):
        log.info("%s: left out %d open questions of %d", path, len(rows) - len(asked), len(rows))
    return asked


def _sample(row: Row, name: str, where: str) -> Sample | None:
    try:
        chat = _Chat.model_validate(row)
        asked = next(turn.content for turn in chat.messages if turn.role == "user")
        question, options, _ = split_question(_AROUND.sub("", asked))
        if not options:
            return None
        (shown,) = [*map(image, chat.images), *map(video, chat.videos)]
        replies = (turn.content for turn in chat.messages if turn.role == "assistant")
        return Sample(
            id=name,
            dataset="shotqa",
            split="train",
            task="multiple_choice",
            category=_dimension(question),
            media=(shown.model_copy(update={"path": f"shotqa/{shown.path}"}),),
            question=question,
            options=options,
            answer=right_letter(chat.solution or next(replies), options),
        )
    except (StopIteration, ValueError) as error:
        what = "no answer" if isinstance(error, StopIteration) else said(error)
        raise AnnotationsError(f"{where} is no question that can be asked: {what}") from error


def _dimension(question: str) -> str:
    words = question.lower()
    named = (name for name in sorted(COUNTS, key=len)[::-1] if name.replace("_", " ") in words)
    return next(named, "other")
