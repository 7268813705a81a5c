"""What an evaluation reads, and its errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from data_builders.progress import log_to_terminal
from data_builders.specs import FrameSpec, Matching, Metric, PromptSpec, Spec
from data_builders.trajectory_specs import EndpointSpec
from orchestrator.evaluation.judge_specs import JudgeSpec
from orchestrator.plan.outputs import LACKING
from reward_plugins.errors import CamReasonerError

log = logging.getLogger(__name__)


class EvaluationError(CamReasonerError, ValueError):
    """Questions, predictions or checkpoints that no score could be trusted from."""


class QuestionSet(Spec):
    """The questions of one benchmark, and where their clips are."""

    samples: Path
    """Parquet of `data_builders.sample`."""
    clips: Path
    """Directory that the samples' clip paths are relative to."""


class Server(Spec):
    """A model behind an OpenAI-compatible server."""

    endpoint: EndpointSpec
    media: Literal["video", "images"]
    """How frames travel: the lossless clip as one `video_url`, or an `image_url` a frame."""
    top_logprobs: int | None = None
    """Likeliest tokens that are asked for at each place, for the options' probabilities."""

    def __str__(self) -> str:
        return f"{self.endpoint.model} at {self.endpoint.base_url}"


class Imported(Spec):
    """Answers that another harness wrote."""

    predictions: dict[str, Path]
    """A file of lmms-eval or VLMEvalKit by benchmark."""

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self.predictions.values())


Checkpoint = Path | Server | Imported


class OwnReward(Spec):
    """What scores answers to questions without options."""

    function: str
    """`path/to/file.py:name`."""
    arguments: dict[str, Any]


class EvalConfig(Spec):
    """The JSON that all commands of the stage read: prepare, answer, collect, score."""

    checkpoints: dict[str, Checkpoint]
    """What answers, by the name it carries in the tables: a Hugging Face checkpoint directory, a
    server, or a file of answers."""
    benchmarks: dict[str, QuestionSet]
    answers: Path
    """Directory with a ledger of answers for each model, shared by all evaluations."""
    cache: Path
    """Frame cache."""
    frames: FrameSpec
    prompt: PromptSpec
    engine: Literal["hf", "vllm"]
    """What generates with a checkpoint directory: Hugging Face `generate`, or vLLM."""
    vllm: Mapping[str, Any] = {}
    """Further arguments of vLLM's `LLM`."""
    engines: int = 1
    """That answer side by side, each on its share of the GPUs."""
    versions: dict[str, str]
    """Of each engine, a hash of its code and environment: answers of another are not taken."""
    batch_size: int
    """Questions an engine answers at once; a killed run loses at most so many of each."""
    max_new_tokens: int
    swap_control: bool
    """Also ask each question about a clip of another category."""
    max_questions: int | None
    """A seeded draw of so many questions of each benchmark; null for all."""
    judge: JudgeSpec | None = None
    """Who reads the responses; None leaves RefineShot's scores of reliability out."""
    judge_server: tuple[str, ...] = ("vllm",)
    """Words that serve a judge with `endpoint.serve`: vLLM, or transformers without a GPU."""
    matching: Matching
    """How the reward reads an answer."""
    gate_accuracy_on_format: bool
    """The reward counts accuracy in a well-formed response alone."""
    min_block_chars: int
    """Characters that the reward wants of each block."""
    reward: OwnReward | None = None
    """The recipe's own reward, if it has one."""
    tasks: dict[str, dict[str, Any]]
    """How the answers of each task are graded: settings of `reward_plugins.graders`."""
    metrics: dict[str, Metric]
    """What each task is reported by."""
    seed: int
    workers: int
    max_quarantined: float
    external: Path | None = None
    """What lmms-eval made of other benchmarks: `<checkpoint>/*/*_results.json`."""
    out: Path

    @field_validator("checkpoints", "benchmarks", mode="before")
    @classmethod
    def _in_order(cls, given: Any) -> Any:
        """Pairs keep the order in which gains are counted, which sorted JSON objects lose."""
        return dict(given)

    @property
    def conditions(self) -> tuple[Literal["shown", "swapped"], ...]:
        """Under which every question is asked."""
        return ("shown", "swapped") if self.swap_control else ("shown",)

    def index_path(self, benchmark: str) -> Path:
        """Where `prepare` leaves the frame index of a benchmark."""
        return self.out / "frames" / f"{benchmark}.json"

    @property
    def served(self) -> Path:
        """What each server says of its model."""
        return self.out / "served.json"

    @property
    def predictions(self) -> Path:
        """The answers of the configured checkpoints to the configured questions."""
        return self.out / "predictions.parquet"

    @property
    def lacking(self) -> Path:
        """The questions without an answer, in words; no file where all have one."""
        return self.out / LACKING

    @property
    def judgements(self) -> Path:
        """The judge's verdicts on them."""
        return self.out / "judgements.jsonl"

    @property
    def calibration(self) -> Path:
        """How far the judge agrees with labels."""
        return self.out / "calibration.json"

    @property
    def scores(self) -> Path:
        """Every score with its interval, baselines and tests."""
        return self.out / "scores.json"


def run_command(command: Callable[..., object], arguments: list[str]) -> int:
    """Run a command of the stage on the config named on its command line; the exit status.

    Words after the config are the command's further arguments.
    What a user can mend is said in one line; anything else is a traceback.
    """
    log_to_terminal()
    try:
        config, *words = arguments
        command(EvalConfig.model_validate_json(Path(config).read_text()), *words)
    except (CamReasonerError, OSError) as error:
        log.error("%s", error)
        return 1
    return 0
