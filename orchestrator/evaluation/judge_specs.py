"""What a recipe says about the judge; light enough for planning."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from data_builders.specs import Spec
from data_builders.trajectory_specs import EndpointSpec


class JudgeSpec(Spec):
    """A model that reads responses: RefineShot's two scores of reliability."""

    endpoint: EndpointSpec
    """Any OpenAI-compatible server (RefineShot: Qwen/Qwen3-4B without thinking)."""
    benchmarks: tuple[str, ...] = Field(min_length=1)
    """Answers to these of eval.benchmarks are judged; those of your own by their short name."""
    labels: Path | None = None
    """Responses with known verdicts, JSONL, that the judge is measured on; null for this
    project's own."""
    failures_in_a_row: int = Field(default=20, gt=0)
    """So many requests without an answer, one after the other, end the judging."""

    @field_validator("endpoint")
    @classmethod
    def _is_deterministic(cls, endpoint: EndpointSpec) -> EndpointSpec:
        if endpoint.temperature != 0:
            raise ValueError(
                f"temperature {endpoint.temperature:g} makes verdicts change from run to run; "
                "a judge needs temperature: 0"
            )
        return endpoint
