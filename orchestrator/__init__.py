"""Recipe -> plan -> launch -> run directory -> report: thin orchestration of stock trainers.

    from orchestrator import load_recipe, make_plan

    recipe = load_recipe("camreasoner_7b", ["rl.group_size=16"])
    plan = make_plan(recipe, Path("runs"))
    plan.stage("rl").files          # every file the stage would be given, by path

Neither needs a trainer, torch or Ray. Names are imported when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reward_plugins.lazy import importer

if TYPE_CHECKING:
    from orchestrator.errors import RecipeError
    from orchestrator.plan.make import Plan, make_plan
    from orchestrator.plan.stage import Stage
    from orchestrator.recipe import Recipe, load_recipe, recipe_names

__all__ = ["Plan", "Recipe", "RecipeError", "Stage", "load_recipe", "make_plan", "recipe_names"]

_HOMES = {
    "Plan": "orchestrator.plan.make:Plan",
    "Recipe": "orchestrator.recipe:Recipe",
    "RecipeError": "orchestrator.errors:RecipeError",
    "Stage": "orchestrator.plan.stage:Stage",
    "load_recipe": "orchestrator.recipe:load_recipe",
    "make_plan": "orchestrator.plan.make:make_plan",
    "recipe_names": "orchestrator.recipe:recipe_names",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__ = importer(__name__, _HOMES)
