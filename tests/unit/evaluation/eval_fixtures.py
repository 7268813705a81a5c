"""Small questions, predictions and a configuration to evaluate them with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_builders.frames import FrameIndex
from data_builders.media import video
from data_builders.sample import Sample, write_samples
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.predictions import Prediction
from orchestrator.evaluation.predictions import write_predictions as write_table
from tests.givens import SPEC, evaluation, frames_of, question


def sample(number: int, **changes: object) -> Sample:
    fields = {
        "split": "test",
        "category": ("pan_left", "zoom_in")[number % 2],
        "media": (video(f"{number // 2}.mp4"),),
        "question": "Does the camera pan?",
        "answer": "AB"[number % 2],
    }
    return question(number, **{**fields, **changes})


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
    config = evaluation(out, out / "test.parquet", **changes)
    clips = {one.clip: frames_of(one.clip) for one in samples}
    FrameIndex(cache=config.cache, spec=SPEC, clips=clips).write(config.index_path("held_out"))
    return config


def write_predictions(config: EvalConfig, rows: Sequence[Prediction]) -> None:
    write_table(config.predictions, rows)
