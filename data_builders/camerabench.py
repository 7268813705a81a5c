"""CameraBench's questions, from its annotation files (Lin et al. 2025; CC BY 4.0).

`annotations` is a folder with `binary_classification/<motion>.jsonl` and
`vqa_and_retrieval/<skill>/<task>.jsonl`, the layout of t2v_metrics' `camerabench/data`. Training
annotations, which CameraBench gives out on request, build by the same functions with
`split="train"`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError

from data_builders.annotations import AnnotationsError, said
from data_builders.blob import git_blob_sha1
from data_builders.media import video
from data_builders.sample import LETTERS, Sample

Split = Literal["train", "test"]

BINARY_BLOB = "f9affc90192d23c692b83d703391768feac6c1da"
"""Git blob hash of the released camerabench_binary.json (7,679 questions)."""
VQA_BLOB = "0332c6ca03790ec0cc8faa228cfa82e27c9117fc"
"""Git blob hash of the released camerabench_vqa.json (14,172 questions)."""

YES_NO_BLOB = "2ca35231de6f6869384123da82b2903dc5f77fb4"
"""Git blob hash of the deleted converted_vqa/all.json (14,172 questions)."""

_RELEASED_QUESTION = "Which of the following options is more likely to have the answer '{}'?"
_YES_NO_QUESTION = "Does the camera movement in this video match the following description?\n\n{}"
_PAPERS_NAMES = {
    "move_in": "dolly_in",
    "move_out": "dolly_out",
    "move_up": "pedestal_up",
    "move_down": "pedestal_down",
    "move_left": "truck_left",
    "move_right": "truck_right",
}
"""The paper's Table 1 names CameraBench's translations so; other file names it keeps."""
_MATCH_QUESTION = "Which of the following fits the camera movement in the video?"


class _BinaryRow(BaseModel):
    image: str = Field(min_length=1)
    question: str = Field(min_length=1)
    label: Literal["No", "Yes"]
    label_name: str = ""


class _PairRow(BaseModel):
    """Two statements, each true of one of two clips and false of the other."""

    pos_text: str = Field(min_length=1)
    neg_text: str = Field(min_length=1)
    pos_video: str = Field(min_length=1)
    neg_video: str = Field(min_length=1)


class _Pair(NamedTuple):
    key: str
    skill: str
    task: str
    texts: tuple[str, str]
    videos: tuple[str, str]


_Row = TypeVar("_Row", bound=BaseModel)


def clip_path(video: str, split: Split) -> str:
    """Where a clip of CameraBench lies, relative to the data root."""
    return f"camerabench/{split}/{video}"


def binary(annotations: Path, split: Split = "test") -> list[Sample]:
    """One yes-or-no question per (motion, clip): 7,679 for the test annotations.

    Options are ("No", "Yes"), as released. `category` is the motion, as the
    paper names it ("pan_left").
    Raises `AnnotationsError` for absent or malformed files.
    """
    return [
        Sample(
            id=f"{file.stem}_{number}",
            dataset="camerabench_binary",
            split=split,
            task="binary",
            category=_PAPERS_NAMES.get(file.stem.lower(), file.stem.lower()),
            media=(video(clip_path(row.image, split)),),
            question=row.question,
            options=("No", "Yes"),
            answer="B" if row.label == "Yes" else "A",
            provenance={"label": row.label_name},
        )
        for file in _files(annotations / "binary_classification", "*.jsonl")
        for number, row in enumerate(_rows(file, _BinaryRow), start=1)
    ]


def vqa_as_released(annotations: Path) -> list[Sample]:
    """The VQA set exactly as CamReasoner released it: 14,172 questions in its order.

    The released labels follow the question's wording alone: 'yes' is always A, 'no' always B
    (`provenance["literal_answer"]` is A throughout). It exists to reproduce published numbers.
    Raises `AnnotationsError` unless the released file is reproduced to the byte.
    """
    counts: Counter[str] = Counter()
    samples = [s for pair in _pairs(annotations) for s in _released_items(pair, counts)]
    verify_released(samples, VQA_BLOB)
    return samples


def vqa_yes_no(annotations: Path) -> list[Sample]:
    """Whether a statement fits the clip: 14,172 questions, the released code's own, in its order.

    CamReasoner's repository held this file beside the other form and deleted it: its labels are
    right, half of them Yes. `provenance["pair"]` links the two clips of a statement (both right:
    chance is 25 %, CameraBench's question accuracy). Raises `AnnotationsError` unless that file is
    reproduced to the byte.
    """
    counts: Counter[str] = Counter()
    samples = [s for pair in _pairs(annotations) for s in _yes_no_items(pair, counts)]
    verify_released(samples, YES_NO_BLOB)
    return samples


def vqa_match(annotations: Path, split: Split = "test", seed: int = 0) -> list[Sample]:
    """Which of two statements fits the clip: one question per (pair, clip), 7,086 in the test set.

    A pair's two questions show the same options in the same order, drawn from a hash of `seed`
    and the pair, and differ in the clip alone: a rule that reads only text is right on exactly
    half of them. `provenance["pair"]` links the two (both right: chance is 25 %).
    """
    return [s for pair in _pairs(annotations) for s in _match_items(pair, split, seed)]


def released_json(samples: Sequence[Sample]) -> bytes:
    """`samples` of `binary`, `vqa_as_released` or `vqa_yes_no` in the released file's JSON.

    To the byte, as `verify_released` finds.
    """
    records = [_released_record(s, index) for index, s in enumerate(samples, start=1)]
    return json.dumps(records, indent=2, ensure_ascii=False).encode()


def verify_released(samples: Sequence[Sample], blob: str) -> None:
    """Raise `AnnotationsError` unless `samples` make the released file whose git hash is `blob`."""
    found = git_blob_sha1(released_json(samples))
    if found != blob:
        raise AnnotationsError(
            f"{len(samples)} questions hash to {found}, the released file to {blob}: these are not "
            "the annotations it was made from; fetch them again, or build another variant"
        )


def _released_items(pair: _Pair, counts: Counter[str]) -> Iterator[Sample]:
    # (clip shown, options swapped, word asked for), in the released order
    for clip, swap, word in ((0, 0, "yes"), (1, 0, "no"), (0, 1, "no"), (1, 1, "yes")):
        counts[pair.task] += 1
        true_option = clip ^ swap
        yield Sample(
            id=f"{pair.task}-{counts[pair.task]}",
            dataset="camerabench_vqa_as_released",
            split="test",
            task="multiple_choice",
            category=pair.skill,
            media=(video(clip_path(pair.videos[clip], "test")),),
            question=_RELEASED_QUESTION.format(word),
            options=pair.texts[::-1] if swap else pair.texts,
            answer="A" if word == "yes" else "B",
            provenance={
                "pair": pair.key,
                "literal_answer": LETTERS[true_option if word == "yes" else 1 - true_option],
            },
        )


def _yes_no_items(pair: _Pair, counts: Counter[str]) -> Iterator[Sample]:
    for text, clip in ((0, 0), (0, 1), (1, 0), (1, 1)):
        yield Sample(
            id=f"{pair.task}.jsonl_{counts[pair.task]}",
            dataset="camerabench_vqa_yes_no",
            split="test",
            task="binary",
            category=pair.skill,
            media=(video(clip_path(pair.videos[clip], "test")),),
            question=_YES_NO_QUESTION.format(pair.texts[text]),
            options=("Yes", "No"),
            answer="A" if text == clip else "B",
            provenance={"pair": f"{pair.key}/{('pos', 'neg')[text]}"},
        )
        counts[pair.task] += 1


def _match_items(pair: _Pair, split: Split, seed: int) -> Iterator[Sample]:
    swap = hashlib.sha256(f"{seed}:{pair.key}:{pair.texts}:{pair.videos}".encode()).digest()[0] & 1
    for clip, role in enumerate(("pos", "neg")):
        yield Sample(
            id=f"{pair.key}/{role}",
            dataset="camerabench_vqa_match",
            split=split,
            task="multiple_choice",
            category=pair.skill,
            media=(video(clip_path(pair.videos[clip], split)),),
            question=_MATCH_QUESTION,
            options=pair.texts[::-1] if swap else pair.texts,
            answer=LETTERS[clip ^ swap],
            provenance={"pair": pair.key},
        )


def _released_record(sample: Sample, index: int) -> dict[str, object]:
    is_binary = sample.dataset == "camerabench_binary"
    deleted = sample.dataset == "camerabench_vqa_yes_no"
    return {
        "problem_id": f"{sample.id.rpartition('_')[0]}_{index}" if is_binary else sample.id,
        "problem": sample.question,
        "data_type": "video",
        "problem_type": "multiple choice",
        "options": [f"{a}. {text}" for a, text in zip(sample.letters, sample.options, strict=True)],
        "process": "",
        "solution": f"<answer>{sample.answer}</answer>",
        "path": Path(sample.clip).name if deleted else f"video/{Path(sample.clip).name}",
        "data_source": "camerabench",
        "dataset": "camerabench",
        **({} if deleted else {"output": []}),
        **({"id": sample.id} if is_binary else {}),
    }


def _pairs(annotations: Path) -> Iterator[_Pair]:
    for file in _files(annotations / "vqa_and_retrieval", "*/*.jsonl"):
        for number, row in enumerate(_rows(file, _PairRow), start=1):
            yield _Pair(
                key=f"{file.parent.name}/{file.stem}/{number}",
                skill=file.parent.name,
                task=file.stem,
                texts=(row.pos_text, row.neg_text),
                videos=(row.pos_video, row.neg_video),
            )


def _files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(folder.glob(pattern))
    if not files:
        raise AnnotationsError(
            f"no {pattern} in {folder}: CameraBench's annotations are not there; "
            "run the data stage to fetch them, or point data.annotations at them"
        )
    return files


def _rows(file: Path, row_type: type[_Row]) -> Iterator[_Row]:
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if line.strip():
            try:
                yield row_type.model_validate_json(line)
            except ValidationError as error:
                raise AnnotationsError(f"{file}, line {number}: {said(error)}") from error
