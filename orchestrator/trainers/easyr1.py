"""Recipe -> stock EasyR1: the YAML of `verl.trainer.main` in an EasyR1 checkout."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import RecipeError
from orchestrator.recipe import Recipe
from orchestrator.stage import Draft


def rl(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """GRPO in EasyR1."""
    raise RecipeError("rl.trainer: easyr1 is not wired into the plan yet; use verl")
