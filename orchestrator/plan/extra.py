"""Keys that the recipe does not know, on their way to a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import RecipeError
from orchestrator.plan.values import RunTime


def merged(ours: Mapping[str, Any], extra: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`extra` laid into `ours`, section by section; `where` names `extra` in the recipe.

    Raises `RecipeError` for a key that is in both with different values: one says of the recipe
    what is not so.
    """
    result = dict(ours)
    for key, value in extra.items():
        known, name = result.get(key), f"{where}.{key}"
        known = known.value if isinstance(known, RunTime) else known
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            result[key] = merged(known, value, name)
        elif known is None or known == value:
            result[key] = value
        else:
            raise RecipeError(
                f"{name}: {value!r} contradicts the {known!r} that the recipe already gives the "
                "trainer; leave this one out, and change the recipe's own key where it has one: "
                "else the stages that follow rely on it (LoRA would leave them no whole checkpoint)"
            )
    return result


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    leaves: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves
