"""Where the policies of a run are, by the names that recipes give them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.recipe.policy import BASE, parse_policy
from orchestrator.recipe.stages import evaluated


def place(run: Path, name: str) -> Path:
    """Directory of the policy called `name`, whether it is there or not.

    Raises `ValueError` for what is no name of a policy.
    """
    policy = parse_policy(name)
    if policy.stage == BASE:
        return run / "model" / "checkpoint"
    return run / policy.stage / policy.folder


def names(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """The policies that the recipe of a run evaluates, the one trained last at the end."""
    stages = recipe.get("stages") or {}
    kinds = {name: (spec["kind"], spec["start"]) for name, spec in stages.items()}
    return evaluated(kinds)


def trained(run: Path, recipe: Mapping[str, Any]) -> dict[str, Path]:
    """Those of them that are there, by name."""
    places = {name: place(run, name) for name in names(recipe)}
    return {name: path for name, path in places.items() if (path / "config.json").is_file()}
