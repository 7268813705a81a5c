"""Sampling: questions put to a policy, whose responses become the questions of a later stage."""

from typing import Literal

from pydantic import Field

from data_builders.specs import FrameSpec, PromptSpec, Spec


class SampleSpec(Spec):
    """Rejection sampling with the evaluation's engines (ViLaSR, VideoRFT, Time-R1's rounds)."""

    frames: FrameSpec | None = None
    """Frames this stage sees, when not the recipe's own; the plan then shows the skew."""
    prompt: PromptSpec | None = None
    """Prompt and tags of this stage, when not the recipe's own."""
    engine: Literal["hf", "vllm"]
    """What generates the responses."""
    engines: int | None = Field(gt=0)
    """As `eval.engines`."""
    responses: int = Field(gt=0)
    """Responses a question."""
    temperature: float = Field(ge=0)
    """Softmax temperature; 0 is greedy, and then one response a question is all there is."""
    top_p: float = Field(gt=0, le=1)
    """Nucleus mass."""
    batch_size: int = Field(gt=0)
    """Responses generated at once."""
    max_new_tokens: int = Field(gt=0)
    """Most tokens of a response."""
    max_questions: int | None = Field(gt=0)
    """Most questions, drawn by the recipe's seed; null for all."""
    keep: Literal["correct", "best", "between"]
    """`correct`: right and well-formed responses, as traces; `best`: the response with the highest
    reward above 0, as a trace; `between`: questions whose mean accuracy lies strictly between `low`
    and `high`, without a trace."""
    most: int = Field(gt=0)
    """Most responses kept of one question."""
    low: float
    """For `between`: questions at or below are dropped."""
    high: float
    """For `between`: questions at or above are dropped."""
