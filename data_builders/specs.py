"""Typed descriptions of prompts, frames and synthetic clips; light enough for planning."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """Base of every section of a recipe: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FrameSpec(Spec):
    """Which frames a clip yields, and at what size. Declared once, read by SFT, RL and eval."""

    fps: float = Field(gt=0)
    """Frames a second of clip (paper Table 6: 1.0 in RL)."""
    min_frames: int = Field(ge=2)
    """At least so many frames, if the clip has them; even, for temporal patches of two."""
    max_frames: int = Field(ge=2)
    """At most so many frames, spread over the whole clip, never its first part only."""
    min_pixels: int = Field(gt=0)
    """Least height x width of a frame, in pixels."""
    max_pixels: int = Field(gt=0)
    """Most height x width of a frame, in pixels (paper Table 6: 262,144 in RL)."""
    multiple: int = Field(default=28, gt=0)
    """Height and width are multiples of this: patch size x spatial merge (Qwen2.5-VL: 28)."""


class PromptSpec(Spec):
    """The text around a question, and the tags of the answer format."""

    system: str = "You are a helpful assistant."
    """System turn (Qwen2.5-VL's default)."""
    template: str = "{question}\n{options}"
    """User turn; `{question}` and `{options}` are filled in."""
    tags: tuple[str, ...] = ("observation", "think", "answer")
    """Blocks of a response, in order (paper section 3.2: observation, think, answer)."""
