"""Our questions for lmms-eval (YAML and JSONL) and for VLMEvalKit (TSV), with our frames.

lmms-eval gets the lossless clip of the frame cache, VLMEvalKit the frames as pictures, which is
what its stock data set class for files of one's own takes.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from data_builders.frames import FrameIndex
from data_builders.prompt import user_text
from data_builders.sample import LETTERS, Sample
from data_builders.specs import PromptSpec
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.questions import Asked
from reward_plugins.files import replacement, write_file

UTILS = Path(__file__).parent / "lmms_eval_utils.py"


def task_name(benchmark: str) -> str:
    """The benchmark's name in lmms-eval, which has tasks of its own called `camerabench_vqa`."""
    return f"camreasoner_{benchmark}"


def to_lmms_eval(board: Asked, config: EvalConfig, directory: Path) -> Path:
    """Write `<task>.yaml`, `<task>.jsonl` and `utils.py`; returns the YAML.

    Run with `python -m lmms_eval --include_path <directory> --tasks <task> --log_samples`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    name = task_name(board.benchmark)
    rows = [_document(sample, board.frames, config.prompt) for sample in board.samples]
    data = directory / f"{name}.jsonl"
    write_file(data, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    shutil.copyfile(UTILS, directory / "utils.py")
    task = yaml.safe_dump(_task(name, data, config), sort_keys=False)
    functions = {key: f"{key}: !function utils.{key}\n" for key in _FUNCTIONS}
    path = directory / f"{name}.yaml"
    write_file(path, task + "".join(functions.values()))
    return path


_FUNCTIONS = ("doc_to_visual", "doc_to_text", "process_results")


def _task(name: str, data: Path, config: EvalConfig) -> dict[str, Any]:
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data.resolve())}},
        "test_split": "test",
        "output_type": "generate_until",
        "reasoning_tags": "none",  # else it takes what stands in <think> out of every response
        "doc_to_target": "answer",
        "generation_kwargs": {
            "max_new_tokens": config.max_new_tokens,
            "temperature": 0,
            "do_sample": False,
        },
        "metric_list": [{"metric": "accuracy", "aggregation": "mean", "higher_is_better": True}],
        "metadata": [{"version": 1.0}],
    }


def _document(sample: Sample, frames: FrameIndex, prompt: PromptSpec) -> dict[str, Any]:
    return {
        "id": sample.id,
        "media": [str(file) for item in sample.media for file in frames.shown(item).files],
        "prompt": user_text(sample, prompt),
        "question": sample.question,
        "options": list(sample.options),
        "answer": sample.truth,
        "category": sample.category,
    }


def to_vlmevalkit(board: Asked, config: EvalConfig, directory: Path) -> Path:
    """Write `<task>.tsv` and its frames; returns the TSV.

    Run with `LMUData=<directory> python run.py --data <task>`.
    """
    pictures = {clip: _pictures(clip, board.frames, directory) for clip in board.frames.clips}
    path = directory / f"{task_name(board.benchmark)}.tsv"
    rows = [
        _row(n, sample, [p for i in sample.media for p in pictures[i.name]])
        for n, sample in enumerate(board.samples)
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with replacement(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _row(number: int, sample: Sample, pictures: Sequence[Path]) -> dict[str, object]:
    options = dict(zip(LETTERS, sample.options, strict=False))
    return {
        "index": number,
        "id": sample.id,
        "question": sample.question,
        **options,
        "answer": sample.truth,
        "category": sample.category,
        "split": sample.split,
        "image_path": str([str(path) for path in pictures]),
    }


def _pictures(clip: str, frames: FrameIndex, directory: Path) -> list[Path]:
    folder = (directory / "frames" / frames.meta(clip).key).resolve()
    count = len(frames.meta(clip).indices)
    paths = [folder / f"{number:03d}.png" for number in range(count)]
    if not all(path.is_file() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        for path, frame in zip(paths, frames.load(clip)[0], strict=True):
            Image.fromarray(frame).save(path)
    return paths


def export(config: EvalConfig, boards: Sequence[Asked], directory: Path) -> Iterator[Path]:
    """Write every benchmark for both harnesses below `directory`, and yield the files to name."""
    for board in boards:
        yield to_lmms_eval(board, config, directory / "lmms_eval")
        yield to_vlmevalkit(board, config, directory / "vlmevalkit")
