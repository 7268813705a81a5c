"""Small questions, predictions and a configuration to evaluate them with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_builders.frames import FrameIndex, FrameMeta
from data_builders.sample import Sample, write_samples
from data_builders.specs import FrameSpec, PromptSpec
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.predictions import Prediction
from orchestrator.evaluation.predictions import write_predictions as write_table

SPEC = FrameSpec(fps=2.0, min_frames=2, max_frames=8, min_pixels=784, max_pixels=56 * 56)
META = FrameMeta(
    key="k",
    spec=SPEC,
    indices=(0, 1),
    fps=2.0,
    height=56,
    width=56,
    source_frames=2,
    source_height=56,
    source_width=56,
    frames_sha256="",
    video_sha256="",
)


def sample(number: int, **changes: object) -> Sample:
    fields = {
        "id": f"s{number}",
        "dataset": "d",
        "split": "test",
        "task": "binary",
        "category": ("pan_left", "zoom_in")[number % 2],
        "clip": f"{number // 2}.mp4",
        "question": "Does the camera pan?",
        "options": ("Yes", "No"),
        "answer": "AB"[number % 2],
    }
    return Sample.model_validate({**fields, **changes})


def response(letter: str) -> str:
    return f"<observation>o</observation><think>t</think><answer>{letter}</answer>"


def prediction(one: Sample, letter: str | None, **changes: object) -> Prediction:
    given = Prediction(
        benchmark="held_out",
        checkpoint="base",
        model="m",
        sample_id=one.id,
        condition="shown",
        clip=one.clip,
        response=None if letter is None else response(letter),
        error="out of memory" if letter is None else None,
        tokens=5,
        seconds=0.1,
    )
    return given._replace(**changes)


def make_config(out: Path, samples: Sequence[Sample], **changes: object) -> EvalConfig:
    """A configuration whose samples and frame index are on disk."""
    write_samples(out / "test.parquet", samples)
    fields = {
        "checkpoints": {"base": out / "base"},
        "benchmarks": {"held_out": {"samples": out / "test.parquet", "clips": out}},
        "answers": out / "answers",
        "cache": out / "cache",
        "frames": SPEC,
        "prompt": PromptSpec(),
        "engine": "hf",
        "versions": {"hf": "1", "openai": "1"},
        "batch_size": 4,
        "max_new_tokens": 8,
        "swap_control": False,
        "max_questions": None,
        "matching": "strict",
        "seed": 0,
        "workers": 1,
        "max_quarantined": 0.0,
        "out": out,
    }
    config = EvalConfig.model_validate({**fields, **changes})
    clips = {one.clip: META.model_copy(update={"key": one.clip}) for one in samples}
    FrameIndex(cache=config.cache, spec=SPEC, clips=clips).write(config.index_path("held_out"))
    return config


def write_predictions(config: EvalConfig, rows: Sequence[Prediction]) -> None:
    write_table(config.predictions, rows)
