"""Samples and cached frames in each trainer's own format: three views of the same questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data_builders.frames import FrameIndex, FrameMeta, Shown
from data_builders.media import PLACEHOLDERS, Kind
from data_builders.prompt import trace_text, user_turn
from data_builders.sample import Sample, SampleError
from data_builders.specs import PromptSpec
from reward_plugins.files import replacement, write_file

COLUMNS: dict[Kind, str] = {"image": "images", "video": "videos"}
"""Of a row, with what its placeholders of each kind stand for, in order."""


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
        shown, trace = _shown(sample, index), trace_text(sample, prompt)
        turns = [*_messages(sample, shown, prompt), _turn("assistant", trace)]
        rows.append({"messages": turns, **_columns(shown, _path)})
    columns = {column: column for column in COLUMNS.values()}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user"}
    info = {
        "file_name": f"{name}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", **columns},
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

    rows = [verl_row(number, sample, index, prompt) for number, sample in enumerate(samples)]
    with replacement(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows), partial)


def verl_row(number: int, sample: Sample, index: FrameIndex, prompt: PromptSpec) -> dict[str, Any]:
    """The row of one question; its truth is a text, what is no text as JSON."""
    shown = _shown(sample, index)
    return {
        "data_source": sample.task,
        "prompt": _messages(sample, shown, prompt),
        **_columns(shown, _verl_item),
        "reward_model": {"style": "rule", "ground_truth": sample.truth},
        "extra_info": {
            "index": number,
            "sample_id": sample.id,
            "options": json.dumps(sample.options),
            "task": sample.task,
            "facts": json.dumps(sample.facts),
            "provenance": json.dumps(sample.provenance),
        },
    }


def _path(file: Path, _: FrameMeta) -> str:
    return str(file)


def _verl_item(file: Path, meta: FrameMeta) -> dict[str, Any]:
    if file.suffix != ".mp4":
        return {"image": str(file)}
    return {
        "video": str(file),
        "frames": str(file.with_name("frames.rgb")),
        "shape": list(meta.shape),
        "fps": meta.fps,
        "min_frames": len(meta.indices),
        "max_frames": len(meta.indices),
        "min_pixels": meta.height * meta.width,
        "max_pixels": meta.height * meta.width,
    }


def to_easyr1(samples: Sequence[Sample], index: FrameIndex, prompt: PromptSpec, path: Path) -> None:
    """Write EasyR1's JSON: `problem`, `answer`, and `videos` or `images`, empty for texts.

    `SampleError` where there are rows of both: EasyR1 reads one column a file, and leaves the
    placeholders of the other as text (b44b311, verl/utils/dataset.py:167 and 213).

    EasyR1 hands its reward function nothing but the response and the answer, so the answer is a
    JSON object with all that `reward_plugins` needs. Its prompts have no system turn of their own:
    `reward_plugins.easyr1_plugin.launch` has the chat template begin with it.
    """
    rows: list[dict[str, Any]] = []
    showing: dict[str, str] = {}
    for sample in samples:
        shown = _shown(sample, index)
        problem = user_turn(sample, prompt, _placeholders(shown))
        columns = _columns(shown, _path)
        showing |= {name: sample.id for name, files in columns.items() if files}
        rows.append({"problem": problem, "answer": _easyr1_answer(sample), **columns})
    if len(showing) > 1:
        raise SampleError(
            f"sample {showing['images']!r} shows images, sample {showing['videos']!r} a video: "
            "EasyR1 takes one or the other; set rl.trainer=verl, or media=images in the frames"
        )
    unused = set(COLUMNS.values()) - showing.keys()
    _write_json(path, [{k: v for k, v in row.items() if k not in unused} for row in rows])


def _easyr1_answer(sample: Sample) -> str:
    answer = {"answer": sample.truth, "options": sample.options, "task": sample.task}
    more = {"sample_id": sample.id, "facts": sample.facts, "provenance": sample.provenance}
    return json.dumps({**answer, **more})


def _shown(sample: Sample, index: FrameIndex) -> list[Shown]:
    return [index.shown(item) for item in sample.media]


def _columns(
    shown: Sequence[Shown], cell: Callable[[Path, FrameMeta], Any]
) -> dict[str, list[Any]]:
    """Every column, so that rows of all kinds make one table."""
    columns: dict[str, list[Any]] = {column: [] for column in COLUMNS.values()}
    for kind, files, meta in shown:
        columns[COLUMNS[kind]] += [cell(file, meta) for file in files]
    return columns


def _placeholders(shown: Sequence[Shown]) -> list[str]:
    return [PLACEHOLDERS[kind] * len(files) for kind, files, _ in shown]


def _messages(sample: Sample, shown: Sequence[Shown], prompt: PromptSpec) -> list[dict[str, str]]:
    system = prompt.system_of(sample.task)
    first = [_turn("system", system)] if system else []
    return [*first, _turn("user", user_turn(sample, prompt, _placeholders(shown)))]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _write_json(path: Path, rows: object) -> None:
    write_file(path, json.dumps(rows, ensure_ascii=False))
