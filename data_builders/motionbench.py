"""MotionBench's camera-motion questions (Hong et al. 2025, arXiv 2501.02955; CC BY-NC-SA 4.0).

One of its six kinds of question, 385 in all. Answers to a part of the set are kept back for its
leaderboard ("NA"); those questions can't be scored here and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from data_builders import media
from data_builders.annotations import AnnotationsError, said
from data_builders.options import right_letter, split_question
from data_builders.sample import Sample

CAMERA_MOTION = "Camera Motion"
FOLDER, LISTING = "MotionBench", "video_info.meta.jsonl"
"""Of the repository: the questions lie in `FOLDER`, the clips in folders below it."""

_KEPT_BACK = "NA"


class _Asked(BaseModel):
    uid: str | int
    question: str
    answer: str


class _Video(BaseModel):
    video_path: str
    question_type: str
    qa: list[_Asked]


def questions(meta: Path, kind: str | None = CAMERA_MOTION) -> list[Sample]:
    """Questions of `video_info.meta.jsonl` whose answers are given, in its order.

    `kind` is one of MotionBench's question types, None all of them; `category` is that type with
    underscores. Raises `AnnotationsError` with the line that can't be read.
    """
    if not meta.is_file():
        raise AnnotationsError(f"no file at {meta}: run the data stage to fetch it")
    return [
        sample
        for number, line in enumerate(meta.read_bytes().split(b"\n"), start=1)
        if line.strip()
        for sample in _samples(line, f"{meta}, line {number}", kind)
    ]


def _samples(line: bytes, where: str, kind: str | None) -> Iterator[Sample]:
    try:
        video = _Video.model_validate_json(line)
        if kind in (None, video.question_type):
            for asked in video.qa:
                if asked.answer.strip() != _KEPT_BACK:
                    yield _sample(video, asked)
    except ValueError as error:
        raise AnnotationsError(
            f"{where} is no question that can be asked: {said(error)}"
        ) from error


def _sample(video: _Video, asked: _Asked) -> Sample:
    question, options, _ = split_question(asked.question)
    if not options:
        raise ValueError(f"question {asked.uid} has no options")
    return Sample(
        id=f"motionbench_{asked.uid}",
        dataset="motionbench",
        split="test",
        task="multiple_choice",
        category=video.question_type.lower().replace(" ", "_").replace("-", "_"),
        media=(media.video(f"motionbench/clips/{video.video_path}"),),
        question=question,
        options=options,
        answer=right_letter(asked.answer, options),
    )
