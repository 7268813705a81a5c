"""Clips with a known camera motion, to try a checkpoint on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from data_builders.specs import MotionName, SyntheticSpec
from data_builders.synthetic.build import build, plan_clips
from orchestrator.ask.recipe import AskRecipe

LARGE = {"frames": 12, "fps": 6, "height": 224, "width": 336, "rays": 1}
"""Of the clips for a recipe that renders none itself."""


class Exhibit(NamedTuple):
    """A clip of the gallery and its truth."""

    clip: str
    """Relative to the gallery."""
    motion: MotionName


def hang(recipe: AskRecipe, folder: Path) -> list[Exhibit]:
    """Render what is missing of one held-out clip a motion below `folder`."""
    spec = recipe.data.synthetic or SyntheticSpec(sft_clips=0, rl_clips=0, test_clips=0, **LARGE)
    counts = {"sft_clips": 0, "rl_clips": 0, "test_clips": len(recipe.motions)}
    still = {"compound": 0.0, "moving_objects": 0.0, "motions": recipe.motions}
    spec = spec.model_copy(update=counts | still)
    for _ in build(spec, folder):
        pass
    return [Exhibit(job.path, job.motion) for job in plan_clips(spec)]
