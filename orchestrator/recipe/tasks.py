"""What kinds of question there are, and how the answers of each are scored."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from data_builders.specs import Metric, PromptSpec, Spec, filled_in
from reward_plugins import graders

SETTINGS = {"grader", "decimals", "rule", "reads", "sigma"}
"""What a grader is told."""
OVERLAPS = ("interval", "box", "track")
"""Graders whose scores are overlaps, of which recall at a threshold is a measure."""


def with_tasks(prompt: PromptSpec, tasks: "Mapping[str, TaskSpec]") -> PromptSpec:
    """The prompt with each task's own tail and system turn."""
    tails = {name: task.tail for name, task in tasks.items() if task.tail}
    systems = {name: task.system for name, task in tasks.items() if task.system is not None}
    return prompt.model_copy(update={"tails": tails, "systems": systems})


class TaskSpec(Spec):
    """One task: its grader, which training and evaluation share, and its measure."""

    grader: str
    """Who scores an answer: `letter`, `number`, `relative`, `relative_error`, `words`, `rouge`,
    `math`, `interval`, `box`, `track`, `points`, `map`, or a function of your own,
    `path/to/file.py:name`, of answer, truth and facts (`reward_plugins/graders.py`)."""
    decimals: int | None = Field(default=None, ge=0)
    """`number`: equal when rounded to so many places; null: exactly."""
    rule: Literal["at_most", "below"] | None = None
    """`relative`: a relative error of `at_most` 1 - theta counts (VSI-Bench's evaluator,
    SpatialLadder, SpaceR), or one `below` (OneThinker, Video-R1's evaluation)."""
    reads: Literal["whole", "first"] | None = None
    """`relative`, `relative_error`: the answer is a number, or holds one (SpaceR)."""
    sigma: float | None = Field(default=None, gt=0)
    """`points`: width of the Gaussian, in pixels (OneThinker: 50)."""
    metric: Metric = "mean"
    """What its group is reported by: the mean score, which is accuracy, MRA or mIoU by the grader;
    the share of overlaps of at least a threshold; or the mean of the categories' means."""

    tail: str = ""
    """What ends the user's turn of its questions, behind `prompt.template`; `{facts[name]}` is
    filled in, and a brace itself is written twice."""
    system: str | None = None
    """System turn of its questions; null: the prompt's own."""
    ema: str | None = None
    """What has a std of its own under `rl.ema.key: task`: tasks of one name share it. Null: the
    task itself."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the reward is told of it."""
        return self.model_dump(mode="json", include=SETTINGS, exclude_none=True)

    @field_validator("tail")
    @classmethod
    def _is_filled_in(cls, tail: str) -> str:
        filled_in(tail, "facts")
        return tail

    @model_validator(mode="after")
    def _is_scored(self) -> "TaskSpec":
        graders.check(self.settings)
        if self.grader == "relative" and self.rule is None:
            raise ValueError("rule: two are published, at_most and below; choose one")
        if self.metric.startswith("R@") and self.grader not in OVERLAPS:
            raise ValueError(
                f"metric: {self.metric} is of overlaps ({', '.join(OVERLAPS)}), not {self.grader}"
            )
        return self
