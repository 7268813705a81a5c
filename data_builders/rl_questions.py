"""The RL stage's questions: CamReasoner's released file, or CameraBench's training annotations.

The paper (section 3.1) asks 38,451 questions about clips of CameraBench's training split and
gives no reasoning with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from data_builders.camerabench import AnnotationsError, binary, clip_path, vqa_match
from data_builders.media import video
from data_builders.motion import family
from data_builders.sample import Sample

_LETTERED = re.compile(r"\s*\(?([A-Z])[.):]\s*(.*)", re.DOTALL)
_TAGGED = re.compile(r"\s*<answer>\s*(.*?)\s*</answer>\s*", re.DOTALL)


class _Record(BaseModel):
    """A row of the released file, as the released EasyR1/verl/utils/dataset.py:330-441 reads it."""

    problem: str
    answer: str
    videos: list[str]
    options: list[str]
    problem_type: str


def from_annotations(annotations: Path, seed: int = 0) -> list[Sample]:
    """Questions by this project's rules from training annotations in CameraBench's layout."""
    return binary(annotations, "train") + vqa_match(annotations, "train", seed)


def from_released(path: Path) -> list[Sample]:
    """Questions of the released camerabench_rl.json, in its order.

    Options lose their letters, answers become letters, clips are looked for under their own
    name in the training clips. Raises `AnnotationsError` with the row that can't be read.
    """
    try:
        records = TypeAdapter(list[_Record]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise AnnotationsError(f"{path}: not the released RL questions: {error}") from error
    return list(_samples(records, path))


def _samples(records: list[_Record], path: Path) -> Iterator[Sample]:
    for number, record in enumerate(records, start=1):
        try:
            yield _sample(record, number)
        except ValueError as error:
            raise AnnotationsError(f"{path}, row {number}: {error}") from error


def _sample(record: _Record, number: int) -> Sample:
    if record.problem_type != "multiple choice" or len(record.videos) != 1:
        raise ValueError(
            f"a multiple-choice question on one video is wanted, found {record.problem_type!r} "
            f"on {len(record.videos)}"
        )
    if len(record.options) < 2:
        raise ValueError(f"two or more options are wanted, found {record.options}")
    options = tuple(_without_letter(option) for option in record.options)
    tagged = _TAGGED.fullmatch(record.answer)
    answer = tagged[1] if tagged else record.answer.strip()
    is_binary = {option.lower() for option in options} == {"no", "yes"}
    return Sample(
        id=f"rl_{number}",
        dataset="camerabench_rl",
        split="train",
        task="binary" if is_binary else "multiple_choice",
        category=family(" ".join((record.problem, *options))),
        media=(video(clip_path(Path(record.videos[0]).name, "train")),),
        question=record.problem.replace("<video>", "").strip(),
        options=options,
        answer=answer,
        provenance={"released_path": record.videos[0]},
    )


def _without_letter(option: str) -> str:
    lettered = _LETTERED.fullmatch(option)
    return lettered[2].strip() if lettered else option.strip()
