"""What a recipe says about trajectories; light enough for planning."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from data_builders.motion import Family
from data_builders.specs import Spec


class EndpointSpec(Spec):
    """A model behind an OpenAI-compatible server (vLLM, SGLang, a hosted API)."""

    model: str
    """The name the server gives the model."""
    base_url: str = "http://localhost:8000/v1"
    """The server's address, up to and with the version."""
    serve: tuple[str | int | float, ...] | None = None
    """Further words of `vllm serve <model>`, which the stage then starts on this machine's GPUs at
    `base_url` and ends when all is written; None asks a server that runs. Without GPUs
    transformers serves a judge, and there are no further words."""
    start_seconds: float = Field(default=1800, gt=0)
    """Longest wait for a server that the stage started."""
    api_key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; servers of one's own need none."""
    concurrency: int = Field(default=16, gt=0)
    """Requests under way at a time."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """At most so many new requests a minute; None for no limit."""
    seconds: float = Field(default=300, gt=0)
    """Longest wait for an answer, each attempt."""
    attempts: int = Field(default=4, gt=0)
    """Tries of a request, with growing pauses, on time-outs, 408, 409, 429 and 5xx."""
    temperature: float = Field(default=0.7, ge=0)
    """Softmax temperature of its answers; 0 takes the likeliest token."""
    max_tokens: int = Field(default=1024, gt=0)
    """Longest answer, in tokens."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Passed to the server as it is, e.g. {chat_template_kwargs: {enable_thinking: false}}."""
    dollars_per_million: tuple[float, float] = (0.0, 0.0)
    """Price of a million prompt and a million answer tokens."""


class TrajectorySpec(Spec):
    """Who writes trajectories, who judges them, and how many are wanted."""

    teacher: EndpointSpec
    judge: EndpointSpec | None
    """None leaves the consistency filter out."""
    quotas: dict[Family, int] | None = None
    """Trajectories wanted of each family of motion; None asks for all questions (paper appendix A:
    rotation 7,284, static 5,100, zoom 3,394, track 2,763, in all 18,541)."""
    failures_in_a_row: int = Field(default=20, gt=0)
    """So many requests without an answer, one after the other, end the run."""
    seed: int = 0
    """Of the order in which questions are asked."""
