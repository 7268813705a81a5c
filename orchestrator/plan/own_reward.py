"""What a trainer and the evaluation are told of the reward: this project's, or an own file."""

from __future__ import annotations

from typing import Any

from data_builders.specs import PromptSpec
from orchestrator.plan.stage import OUT, Joined, Source
from orchestrator.recipe import Recipe
from orchestrator.recipe.own_code import own_function
from orchestrator.recipe.rl import RlSpec

OWN_FILE = "reward.py"
"""The stage's copy of the recipe's own file: what scored the responses is kept with them."""


def files(rl: RlSpec) -> dict[str, Source]:
    """The copy of the stage's own reward, if it has one."""
    function = rl.reward.function
    return {OWN_FILE: Source(own_function(function).source)} if function else {}


def reference(rl: RlSpec) -> Joined | None:
    """`path/to/file.py:name` of the own reward, once the stage's files are written."""
    own = rl.reward.function
    return Joined((OUT / OWN_FILE, f":{own_function(own).name}")) if own else None


def arguments(rl: RlSpec, prompt: PromptSpec) -> dict[str, Any]:
    """Keyword arguments of the reward: the stage's settings, the tags, and a file's own."""
    settings = rl.reward.model_dump(mode="json", exclude={"function", "arguments"})
    return {**settings, "tags": list(prompt.tags), **rl.reward.arguments}


def trainer_arguments(recipe: Recipe) -> dict[str, Any]:
    """The same, and the file's `function` for the reward that calls it."""
    own = reference(recipe.rl)
    return arguments(recipe.rl, recipe.prompt) | ({"function": own} if own else {})


def config(rl: RlSpec, prompt: PromptSpec) -> dict[str, Any] | None:
    """What the evaluation is told of an own reward."""
    own = reference(rl)
    return None if own is None else {"function": own, "arguments": arguments(rl, prompt)}
