"""The part of a recipe that asking needs, so that runs of other versions can still be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data_builders.specs import MOTIONS, FrameSpec, MotionName, PromptSpec, SyntheticSpec
from orchestrator.ask.errors import AskError
from orchestrator.recipe import load_recipe


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Data(_Part):
    sources: tuple[str, ...]
    synthetic: SyntheticSpec | None
    cache_dir: str
    workers: int


class _Evaluation(_Part):
    frames: FrameSpec | None
    batch_size: int
    max_new_tokens: int


class _Stage(_Part):
    kind: str
    start: str


class _Cluster(_Part):
    device: Literal["cuda", "cpu"]


class AskRecipe(_Part):
    """Prompt, frames and sizes, under the keys of the whole recipe."""

    name: str
    prompt: PromptSpec
    frames: FrameSpec
    data: _Data
    stages: dict[str, _Stage]
    eval: _Evaluation
    cluster: _Cluster

    @property
    def eval_frames(self) -> FrameSpec:
        """The frames that the evaluation shows."""
        return self.eval.frames or self.frames

    @property
    def environment(self) -> str:
        """Where its checkpoints are evaluated."""
        return "eval-gpu" if self.cluster.device == "cuda" else "eval"

    @property
    def motions(self) -> tuple[MotionName, ...]:
        """The primitives of its own clips, or CameraBench's fifteen."""
        only_synthetic = set(self.data.sources) == {"synthetic"}
        own = self.data.synthetic if only_synthetic else None
        return MOTIONS if own is None else own.motions


def by_name(name: str) -> AskRecipe:
    """That of a recipe of this project; raises `RecipeError`."""
    return AskRecipe.model_validate(load_recipe(name).model_dump(mode="json"))


def of_the_run(run: Path) -> AskRecipe:
    """That of a run directory; raises `AskError` where it lacks what is needed."""
    path = run / "recipe.json"
    try:
        return AskRecipe.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise AskError(
            f"{path} is of another version ({'.'.join(map(str, first['loc']))}: {first['msg']}); "
            "run the recipe again, or name its checkpoint with model= and its recipe with recipe="
        ) from None
