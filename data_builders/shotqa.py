"""ShotQA, ShotVL's training questions (Liu et al. 2025; gated, CC BY-NC-ND 4.0).

Chats as ms-swift reads them: `messages`, `images` or `videos`, and for GRPO a `solution` in place
of the assistant's turn. The paper trains on multiple choice; the release also has open questions.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from pydantic import BaseModel

from data_builders.camerabench import AnnotationsError
from data_builders.media import image, video
from data_builders.sample import LETTERS, Sample
from data_builders.shotbench import COUNTS

log = logging.getLogger(__name__)

_OPTION = re.compile(r"^\s*([A-Z])[.):]\s*(.+?)\s*$", re.MULTILINE)
_AROUND = re.compile(r"<image>|<video>|Question:|Options:")
_ANSWER = re.compile(r"\s*<answer>\s*(.*?)\s*</answer>\s*", re.DOTALL)


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
    rows = _rows(path)
    samples = [_sample(row, f"shotqa_{use}_{n}", f"{path}, row {n}") for n, row in rows]
    asked = [sample for sample in samples if sample is not None]
    if len(asked) < len(rows):
        log.info("%s: left out %d open questions of %d", path, len(rows) - len(asked), len(rows))
    return asked


def _rows(path: Path) -> list[tuple[int, str]]:
    if not path.is_file():
        raise AnnotationsError(f"no file at {path}: run the data stage to fetch it")
    text = path.read_text()
    if text.lstrip().startswith("["):
        try:
            rows = [json.dumps(row) for row in json.loads(text)]
        except ValueError as error:
            raise AnnotationsError(f"{path} is no list of questions: {error}") from error
    else:
        rows = text.splitlines()
    return [(number, row) for number, row in enumerate(rows, start=1) if row.strip()]


def _sample(row: str, name: str, where: str) -> Sample | None:
    try:
        chat = _Chat.model_validate_json(row)
        asked = next(turn.content for turn in chat.messages if turn.role == "user")
        options = tuple(text for _, text in _OPTION.findall(asked))
        if not options:
            return None
        (shown,) = [*map(image, chat.images), *map(video, chat.videos)]
        question = _AROUND.sub("", _OPTION.split(asked)[0]).strip()
        return Sample(
            id=name,
            dataset="shotqa",
            split="train",
            task="multiple_choice",
            category=_dimension(question),
            media=(shown.model_copy(update={"path": f"shotqa/{shown.path}"}),),
            question=question,
            options=options,
            answer=_answer(chat, options),
        )
    except (StopIteration, ValueError) as error:
        what = "no answer" if isinstance(error, StopIteration) else error
        raise AnnotationsError(f"{where} is no question that can be asked: {what}") from error


def _answer(chat: _Chat, options: tuple[str, ...]) -> str:
    said = chat.solution or next(t.content for t in chat.messages if t.role == "assistant")
    tagged = _ANSWER.search(said)
    said = (tagged[1] if tagged else said).strip()
    return LETTERS[options.index(said)] if said in options else said[:1]


def _dimension(question: str) -> str:
    words = question.lower()
    named = (name for name in sorted(COUNTS, key=len)[::-1] if name.replace("_", " ") in words)
    return next(named, "other")
