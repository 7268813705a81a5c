"""What an evaluation reads, and its errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from data_builders.specs import FrameSpec, PromptSpec, Spec
from reward_plugins.errors import CamReasonerError

log = logging.getLogger(__name__)

TRAINING_ORDER = ("base", "sft", "rl")


class EvaluationError(CamReasonerError, ValueError):
    """Questions, predictions or checkpoints that no score could be trusted from."""


class EvalConfig(Spec):
    """The JSON that all three commands of the stage read: prepare, answer, score."""

    checkpoints: dict[str, Path]
    """Hugging Face checkpoint directories by the name they carry in the tables."""
    samples: Path
    """Parquet of held-out questions."""
    clips: Path
    """Directory that the samples' clip paths are relative to."""
    cache: Path
    """Frame cache."""
    frames: FrameSpec
    prompt: PromptSpec
    engine: Literal["hf", "vllm"]
    """What generates: Hugging Face `generate`, or vLLM."""
    batch_size: int
    """Questions answered at once; a killed run loses at most so many."""
    max_new_tokens: int
    swap_control: bool
    """Also ask each question about a clip of another category."""
    max_questions: int | None
    """A seeded draw of so many questions; null for all."""
    matching: Literal["strict", "as_released"]
    """How an answer is read, as in the reward."""
    seed: int
    workers: int
    max_quarantined: float
    out: Path

    @field_validator("checkpoints")
    @classmethod
    def _in_training_order(cls, given: dict[str, Path]) -> dict[str, Path]:
        """JSON objects have no order, but gains are counted from one checkpoint to the next."""
        order = [name for name in TRAINING_ORDER if name in given]
        return {name: given[name] for name in [*order, *(n for n in given if n not in order)]}

    @property
    def frame_index(self) -> Path:
        """Where `prepare` leaves the frame index."""
        return self.out / "frames.json"

    @property
    def ledger(self) -> Path:
        """Every answer ever given in this stage, one JSON object a line."""
        return self.out / "ledger.jsonl"

    @property
    def predictions(self) -> Path:
        """The answers of the configured checkpoints to the configured questions."""
        return self.out / "predictions.parquet"

    @property
    def scores(self) -> Path:
        """Every score with its interval, baselines and tests."""
        return self.out / "scores.json"


def run_command(command: Callable[[EvalConfig], object], arguments: list[str]) -> int:
    """Run a command of the stage on the config named on its command line; the exit status.

    What a user can mend is said in one line; anything else is a traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        command(EvalConfig.model_validate_json(Path(arguments[0]).read_text()))
    except (CamReasonerError, OSError) as error:
        log.error("%s", error)
        return 1
    return 0
