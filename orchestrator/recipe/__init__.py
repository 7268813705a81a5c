"""A recipe says everything about an experiment once, in the paper's words."""

from orchestrator.recipe.load import load_recipe, recipe_names
from orchestrator.recipe.schema import Recipe

__all__ = ["Recipe", "load_recipe", "recipe_names"]
