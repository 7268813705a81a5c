"""Samples and cached frames in each trainer's own format: three views of the same questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_builders.frames import FrameIndex
from data_builders.prompt import trace_text, user_text
from data_builders.sample import Sample
from data_builders.specs import PromptSpec
from reward_plugins.files import replacement, write_file

PLACEHOLDERS = {"videos": "<video>", "images": "<image>"}
"""What all three trainers replace by the visual tokens of an item of each column."""
Shown = dict[str, list[Any]]
"""The column of a row that holds what its placeholders stand for: a clip, or all its frames."""


def to_llamafactory(
    samples: Sequence[Sample], index: FrameIndex, prompt: PromptSpec, directory: Path, name: str
) -> None:
    """Write `<name>.json` (sharegpt) and `dataset_info.json` into `directory`.

    A video is the lossless clip: LLaMA-Factory 0.9.5 takes all of its frames at their own size
    and reads the fps from it, given `video_fps`, `video_maxlen` and pixel bounds that the
    FrameSpec's frames already keep, as images do. `ValueError` where a sample has no trace to
    imitate.
    """
    rows = []
    for sample in samples:
        shown, trace = _files(sample.clip, index), trace_text(sample, prompt)
        turns = [*_messages(sample, shown, prompt), _turn("assistant", trace)]
        rows.append({"messages": turns, **shown})
    column = _column(index)
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user"}
    info = {
        "file_name": f"{name}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", column: column},
        "tags": {**tags, "assistant_tag": "assistant", "system_tag": "system"},
    }
    _write_json(directory / f"{name}.json", rows)
    _write_json(directory / "dataset_info.json", {name: info})


def to_verl(samples: Sequence[Sample], index: FrameIndex, prompt: PromptSpec, path: Path) -> None:
    """Write verl's RL parquet (verl 0.9.1, utils/dataset/rl_dataset.py).

    Each video carries `frames`, the raw array, for our dataset class, and the keys with which
    verl's own reader (qwen-vl-utils) would take the same frames from the lossless clip. Images are
    files.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    shown = {clip: _verl_items(clip, index) for clip in {sample.clip for sample in samples}}
    rows = [
        verl_row(number, sample, shown[sample.clip], prompt)
        for number, sample in enumerate(samples)
    ]
    with replacement(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows), partial)


def verl_row(number: int, sample: Sample, shown: Shown, prompt: PromptSpec) -> dict[str, Any]:
    """The row of one question about what is `shown`."""
    return {
        "data_source": sample.task,
        "prompt": _messages(sample, shown, prompt),
        **shown,
        "reward_model": {"style": "rule", "ground_truth": sample.answer},
        "extra_info": {
            "index": number,
            "sample_id": sample.id,
            "options": json.dumps(sample.options),
            "task": sample.task,
            "provenance": json.dumps(sample.provenance),
        },
    }


def _verl_items(clip: str, index: FrameIndex) -> Shown:
    meta = index.meta(clip)
    if index.spec.media == "images":
        return {"images": [{"image": str(path)} for path in index.image_paths(clip)]}
    video = {
        "video": str(index.video_path(clip)),
        "frames": str(index.frames_path(clip)),
        "shape": list(meta.shape),
        "fps": meta.fps,
        "min_frames": len(meta.indices),
        "max_frames": len(meta.indices),
        "min_pixels": meta.height * meta.width,
        "max_pixels": meta.height * meta.width,
    }
    return {"videos": [video]}


def to_easyr1(samples: Sequence[Sample], index: FrameIndex, prompt: PromptSpec, path: Path) -> None:
    """Write EasyR1's JSON: `problem`, `answer`, and `videos` or `images`.

    EasyR1 hands its reward function nothing but the response and the answer, so the answer is a
    JSON object with all that `reward_plugins` needs. Its prompts have no system turn of their own:
    the chat template adds the model's default.
    """
    rows = []
    for sample in samples:
        shown = _files(sample.clip, index)
        problem = _placeholders(shown) + user_text(sample, prompt)
        rows.append({"problem": problem, "answer": _easyr1_answer(sample), **shown})
    _write_json(path, rows)


def _easyr1_answer(sample: Sample) -> str:
    answer = {"answer": sample.answer, "options": sample.options}
    more = {"task": sample.task, "sample_id": sample.id, "provenance": sample.provenance}
    return json.dumps({**answer, **more})


def _column(index: FrameIndex) -> str:
    return "images" if index.spec.media == "images" else "videos"


def _files(clip: str, index: FrameIndex) -> Shown:
    paths = index.image_paths(clip) if index.spec.media == "images" else [index.video_path(clip)]
    return {_column(index): [str(path) for path in paths]}


def _placeholders(shown: Shown) -> str:
    return "".join(PLACEHOLDERS[column] * len(items) for column, items in shown.items())


def _messages(sample: Sample, shown: Shown, prompt: PromptSpec) -> list[dict[str, str]]:
    system = [_turn("system", prompt.system)] if prompt.system else []
    return [*system, _turn("user", _placeholders(shown) + user_text(sample, prompt))]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _write_json(path: Path, rows: object) -> None:
    write_file(path, json.dumps(rows, ensure_ascii=False))
