"""What the commands of a sampling stage read, and what they leave for one another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from data_builders.frames import FrameIndex
from data_builders.progress import run_command
from data_builders.sample import Sample
from data_builders.specs import FrameSpec, PromptSpec, Spec
from orchestrator.evaluation.config import QuestionSet
from orchestrator.evaluation.questions import draw
from reward_plugins.errors import CamReasonerError


class SamplingError(CamReasonerError, ValueError):
    """Questions that no response could be kept of."""


class SampleConfig(Spec):
    """The JSON that `prepare`, `generate` and `select` read; the keys are `recipe.sample`'s."""

    policy: str
    """Name of the policy that is asked."""
    checkpoint: Path
    questions: QuestionSet
    cache: Path
    """Frame cache."""
    frames: FrameSpec
    prompt: PromptSpec
    engine: Literal["hf", "vllm"]
    engines: int
    responses: int
    temperature: float
    top_p: float
    batch_size: int
    max_new_tokens: int
    max_questions: int | None
    keep: Literal["correct", "best", "between"]
    most: int
    low: float
    high: float
    reward: dict[str, Any]
    """Settings of `reward_plugins.terms.compute_score`."""
    seed: int
    workers: int
    max_quarantined: float
    out: Path

    @property
    def index(self) -> Path:
        """Where `prepare` leaves the frames' index."""
        return self.out / "frames.json"

    @property
    def sampled(self) -> Path:
        """Ledger of the responses, under the `keys` of their questions."""
        return self.out / "responses.jsonl"

    def keys(self, sample: Sample) -> list[str]:
        """Names of the responses to a question in the ledger."""
        return [f"{sample.id}#{number}" for number in range(self.responses)]

    def draw(self) -> list[Sample]:
        """The questions, or the seeded draw of so many."""
        return draw(self.questions.samples, self.max_questions, self.seed)

    def readable(self) -> tuple[list[Sample], FrameIndex]:
        """The questions whose media could be decoded, those on one clip side by side."""
        index = FrameIndex.read(self.index, self.frames)
        samples = [sample for sample in self.draw() if index.holds(sample.media)]
        return sorted(samples, key=lambda sample: (sample.clip, sample.id)), index


def run(command: Callable[[SampleConfig], object], arguments: list[str]) -> int:
    """Run a command on the config named on its command line; the exit status."""
    config = SampleConfig.model_validate_json(Path(arguments[0]).read_text())
    return run_command(lambda: command(config))
