"""Recipe -> stock verl 0.9.1: the Hydra overrides of `verl.trainer.main_ppo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator import stages
from orchestrator.envs import interpreter
from orchestrator.recipe import Recipe
from orchestrator.stage import OUT, ROOT, Command, Draft, Progress, Resources

PLUGIN = "reward_plugins.verl_plugin"


def rl(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Export the questions in verl's format, then reinforce."""
    raise NotImplementedError
