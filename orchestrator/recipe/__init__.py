"""A recipe says everything about an experiment once, in the paper's words.

Its parts are read where no Hydra is installed; what composes a recipe is imported when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reward_plugins.lazy import importer

if TYPE_CHECKING:
    from orchestrator.recipe.load import load_recipe, recipe_names
    from orchestrator.recipe.schema import Recipe

__all__ = ["Recipe", "load_recipe", "recipe_names"]

_HOMES = {
    "Recipe": "orchestrator.recipe.schema:Recipe",
    "load_recipe": "orchestrator.recipe.load:load_recipe",
    "recipe_names": "orchestrator.recipe.load:recipe_names",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__ = importer(__name__, _HOMES)
