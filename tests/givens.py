"""What many tests need one of: a question, the frames of a clip, an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data_builders.frames import FrameMeta
from data_builders.media import video
from data_builders.sample import Sample
from data_builders.specs import FrameSpec, PromptSpec

if TYPE_CHECKING:
    from orchestrator.evaluation.config import EvalConfig

SPEC = FrameSpec(fps=2.0, min_frames=4, max_frames=8, min_pixels=784, max_pixels=56 * 56)


def question(number: int = 0, **changes: object) -> Sample:
    """A question whose answer is Yes, without a trace."""
    fields = {
        "id": f"s{number}",
        "dataset": "d",
        "split": "train",
        "task": "binary",
        "category": "pan_left",
        "media": (video("a.mp4"),),
        "question": "Does the camera pan left?",
        "options": ("Yes", "No"),
        "answer": "A",
    }
    return Sample.model_validate({**fields, **changes})


def frames_of(key: str = "k", **changes: object) -> FrameMeta:
    """What the index holds of a clip of two frames."""
    fields = {
        "key": key,
        "spec": SPEC,
        "indices": (0, 1),
        "fps": 2.0,
        "height": 56,
        "width": 56,
        "source_frames": 2,
        "source_height": 56,
        "source_width": 56,
        "frames_sha256": "",
        "video_sha256": "",
    }
    return FrameMeta.model_validate({**fields, **changes})


def evaluation(out: Path, samples: Path, **changes: object) -> EvalConfig:
    """One checkpoint, to be asked `samples`, whose clips lie beside them."""
    from orchestrator.evaluation.config import EvalConfig  # not all environments can

    fields = {
        "checkpoints": {"base": out / "base"},
        "benchmarks": {"held_out": {"samples": samples, "clips": samples.parent}},
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
        "gate_accuracy_on_format": True,
        "min_block_chars": 0,
        "tasks": {},
        "metrics": {},
        "seed": 0,
        "workers": 1,
        "max_quarantined": 0.0,
        "out": out,
    }
    return EvalConfig.model_validate({**fields, **changes})
