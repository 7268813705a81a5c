"""What a trainer and the evaluation are told of the reward: this project's, or an own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.plan.stage import OUT
from orchestrator.recipe import Recipe
from orchestrator.recipe.own_code import own_function

OWN_FILE = OUT / "reward.py"
"""The stage's copy of the recipe's own file: what scored the responses is kept with them."""


def files(recipe: Recipe) -> dict[str, str]:
    """The copy of the recipe's own reward, if it has one."""
    function = recipe.rl.reward.function
    return {str(OWN_FILE): own_function(function).source} if function else {}


def function(recipe: Recipe) -> tuple[Path, str] | None:
    """File and name of the recipe's own reward, once the stage's files are written."""
    own = recipe.rl.reward.function
    return (OWN_FILE, own_function(own).name) if own else None


def arguments(recipe: Recipe) -> dict[str, Any]:
    """Keyword arguments of the reward: the recipe's settings, the tags, and a file's own."""
    reward = recipe.rl.reward
    settings = reward.model_dump(mode="json", exclude={"function", "arguments"})
    return {**settings, "tags": list(recipe.prompt.tags), **reward.arguments}


def trainer_arguments(recipe: Recipe) -> dict[str, Any]:
    """The same, and the file's `function` for the reward that calls it."""
    own = function(recipe)
    return arguments(recipe) | ({"function": f"{own[0]}:{own[1]}"} if own else {})
