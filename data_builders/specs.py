"""Typed descriptions of prompts, frames and synthetic clips; light enough for planning."""

from __future__ import annotations

from string import Formatter
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from data_builders.media import Kind

MotionName = Literal[
    "static",
    "pan_left",
    "pan_right",
    "tilt_up",
    "tilt_down",
    "roll_clockwise",
    "roll_counterclockwise",
    "zoom_in",
    "zoom_out",
    "dolly_in",
    "dolly_out",
    "truck_left",
    "truck_right",
    "pedestal_up",
    "pedestal_down",
]
"""CameraBench's primitives (its 15 binary tasks)."""
MOTIONS: tuple[MotionName, ...] = get_args(MotionName)
TaskName = Literal["binary", "multiple_choice"]
Media = Literal["video", "images"]

Metric = Literal["mean", "R@0.3", "R@0.5", "R@0.7", "mean_of_categories"]
"""Of a task's scores. Here, for an evaluation's environment knows no recipe."""

Matching = Literal["strict", "as_released", "first", "last"]
"""How a response's format and answer are read (`reward_plugins.reward.RULES`)."""


class Spec(BaseModel):
    """Base of every section of a recipe: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


TICK = 0.001
"""Seconds to which containers round the times that a clip's length is taken from."""


class FrameSpec(Spec):
    """Which frames a clip yields, and at what size. Declared once, read by SFT, RL and eval."""

    fps: float = Field(gt=0)
    """Frames a second of clip (paper Table 6: 1.0 in RL)."""
    min_frames: int = Field(ge=2, multiple_of=2)
    """At least so many frames, if the clip has them; even, for temporal patches of two."""
    max_frames: int = Field(ge=2)
    """At most so many frames, spread over the whole clip, never its first part only."""
    min_pixels: int = Field(gt=0)
    """Least height x width of a frame, in pixels."""
    max_pixels: int = Field(gt=0)
    """Most height x width of a frame, in pixels (paper Table 6: 262,144 in RL)."""
    image_min_pixels: int | None = Field(default=None, gt=0)
    """Least height x width of a still image; null: `min_pixels`."""
    image_max_pixels: int | None = Field(default=None, gt=0)
    """Most height x width of a still image; null: `max_pixels`."""
    multiple: int = Field(default=28, gt=0)
    """Height and width are multiples of this: patch size x spatial merge (Qwen2.5-VL: 28)."""
    media: Media = "video"
    """What the model is shown: a video, two frames to a visual token, each pair at its time; or
    every frame as an image, with twice the tokens and no time (released, in RL and evaluation).
    A still image is one image either way."""
    rule: Literal["ours", "qwen"] = "ours"
    """How seconds x fps becomes a number of frames: `ours` rounds it, and drops one where that is
    odd (7.6 s at 1 fps: 8 frames); `qwen` takes the even number below (6; qwen-vl-utils 0.0.14,
    vision_process.py:144; LLaMA-Factory 0.9.5 rounds down too)."""

    def count(self, seconds: float, available: int) -> int:
        """How many frames a clip of so many `seconds`, with `available` frames, yields: even."""
        most = min(self.max_frames, available)
        longer = seconds if self.rule == "ours" else seconds + TICK
        number = min(max(longer * self.fps, self.min_frames), most)
        whole = round(number) if self.rule == "ours" else int(number)
        return max(2, whole - whole % 2)

    def of(self, kind: Kind) -> FrameSpec:
        """What of this rule acts on a still image, or on a video."""
        none = {"image_min_pixels": None, "image_max_pixels": None}
        if kind == "video":
            return self.model_copy(update=none)
        return FrameSpec(
            fps=1,
            min_frames=2,
            max_frames=2,
            min_pixels=self.image_min_pixels or self.min_pixels,
            max_pixels=self.image_max_pixels or self.max_pixels,
            multiple=self.multiple,
            media="images",
        )


def filled_in(text: str, *names: str) -> set[str]:
    """The names that `text` has in braces; `ValueError` for one that is none of `names`."""
    braces = 'a brace that stands for itself is written twice: {{"answer": ...}}'
    try:
        fields = {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError as error:
        raise ValueError(f"{error}; {braces}") from error
    if unknown := sorted(f for f in fields if f.partition("[")[0] not in names):
        named = ", ".join(f"{{{field}}}" for field in unknown)
        known = " and ".join(f"{{{name}}}" for name in names if name != "facts")
        raise ValueError(f"nothing fills in {named}, but {known or '{facts[name]}'}; {braces}")
    return fields


class PromptSpec(Spec):
    """The text around a question, and the tags of the answer format."""

    system: str = "You are a helpful assistant."
    """System turn (Qwen2.5-VL's default)."""
    template: str = "{question}\n{options}"
    """User turn; `{question}`, `{options}` and `{facts[name]}` are filled in, and a brace itself is
    written twice: `{{"answer": ...}}`."""
    tags: tuple[str, ...] = ("observation", "think", "answer")
    """Blocks of a response, in order (paper section 3.2: observation, think, answer).

    None at all is the bare answer, which SFT can teach and nothing can score."""
    tails: dict[str, str] = {}
    """By task, what ends the user turn, its `{facts[name]}` filled in; taken from `tasks`."""
    systems: dict[str, str] = {}
    """By task, its own system turn; filled in from `tasks`."""

    def system_of(self, task: str) -> str:
        """The system turn before a question of `task`."""
        return self.systems.get(task, self.system)

    @field_validator("template")
    @classmethod
    def _is_filled_in(cls, template: str) -> str:
        fields = filled_in(template, "question", "options", "facts")
        if "question" not in fields:
            raise ValueError("has no {question}, so nothing would be asked")
        return template


class SyntheticSpec(Spec):
    """Rendered clips and the questions about them."""

    motions: tuple[MotionName, ...] = MOTIONS
    """Camera motions shown, in equal numbers."""
    sft_clips: int = Field(ge=0)
    """Clips with observation and thinking, for SFT."""
    rl_clips: int = Field(ge=0)
    """Further clips with answers only, for RL."""
    test_clips: int = Field(ge=0)
    """Held-out clips, of other rooms and textures."""
    tasks: tuple[TaskName, ...] = ("binary", "multiple_choice")
    """One question of each kind is asked about each clip."""
    choices: int = Field(default=4, ge=2)
    """Options of a multiple-choice question."""
    terse_traces: float = Field(default=0.0, ge=0, le=1)
    """Share of SFT traces that name the motion and jump to the answer, as a hasty teacher would;
    the others read the options first. RL can find out which way of thinking pays."""
    compound: float = Field(default=0.0, ge=0, le=1)
    """Share of the moving camera's clips in which it makes a second motion as well."""
    moving_objects: float = Field(default=0.0, ge=0, le=1)
    """Share of clips in which a thing slides or turns by itself, whatever the camera does."""
    hard_pairs: float = Field(default=0.0, ge=0, le=1)
    """Share of questions whose wrong option is the motion most like the right one: dolly and zoom,
    pan and truck, tilt and pedestal, roll and static (paper section 5 names them its data gap).
    With `motions` of one pair alone, a data set of that pair."""
    frames: int = Field(default=8, ge=2)
    """Frames a clip."""
    fps: int = Field(default=2, gt=0)
    """Frames a second."""
    height: int = Field(default=56, ge=28)
    """Pixels."""
    width: int = Field(default=56, ge=28)
    """Pixels."""
    speed: tuple[float, float] = (0.03, 0.06)
    """Least and most image motion at the frame's edge, in frame widths a frame."""
    rays: int = Field(default=1, gt=0)
    """Rays a pixel side; 2 smooths the edges of boards at four times the cost."""
    textures: int = Field(default=64, gt=0)
    """Textures to choose from; training and test have a set each."""
    seed: int = 0
    """Fixes every byte of the clips and every question."""


class TinyModelSpec(Spec):
    """Dimensions of a small random Qwen2.5-VL, trained from nothing on synthetic clips."""

    hidden: int = Field(default=128, gt=0)
    """Width of the language model, and of the vision tower's output."""
    layers: int = Field(default=3, gt=0)
    """Language layers."""
    heads: int = Field(default=4, gt=0)
    """Attention heads; hidden / heads must be a multiple of 8 (three M-RoPE sections of pairs)."""
    kv_heads: int = Field(default=2, gt=0)
    """Key-value heads."""
    intermediate: int = Field(default=384, gt=0)
    """Width of the language MLP."""
    vision_hidden: int = Field(default=128, gt=0)
    """Width of the vision tower."""
    vision_layers: int = Field(default=2, gt=0)
    """Vision layers; the last one attends to a whole pair of frames."""
    vision_heads: int = Field(default=4, gt=0)
    """Vision attention heads."""
    vision_intermediate: int = Field(default=256, gt=0)
    """Width of the vision MLP."""
    vocabulary: int = Field(default=600, ge=300)
    """Most tokens of the byte-level BPE, trained on the recipe's own text."""
    initializer_range: float = Field(default=0.05, gt=0)
    """Standard deviation of the random weights (Qwen's 0.02 suits wider models)."""
    seed: int = 0
    """Of the random weights."""
