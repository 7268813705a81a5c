"""A recipe beside what the paper and its released code state (`recipes/published.yaml`)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from orchestrator.places import RECIPES
from orchestrator.recipe import Recipe

PUBLISHED = RECIPES / "published.yaml"
NOT_GIVEN = "-"


class Deviation(NamedTuple):
    """A key that the paper, the released code or both give another value than the recipe."""

    key: str
    here: str
    paper: str
    """The paper's value and where it stands; `NOT_GIVEN` where the paper is silent."""
    released: str
    """The released code's value and its file; `NOT_GIVEN` where it has no such key."""


def deviations(recipe: Recipe) -> list[Deviation]:
    """Every deviation, section by section."""
    stated, sections = published(), list(type(recipe).model_fields)
    keys = dict.fromkeys(key for column in stated.values() for key in column)
    rows = []
    for key in sorted(keys, key=lambda key: sections.index(key.partition(".")[0])):
        here = value_at(recipe, key)
        cells = [stated[who].get(key) for who in ("paper", "released")]
        if any(cell is not None and cell[0] != here for cell in cells):
            rows.append(Deviation(key, _text(here), *map(_cell, cells)))
    return rows


def published() -> dict[str, dict[str, tuple[Any, str]]]:
    """`paper` and `released`, each as {recipe key: (value, source)}."""
    content = yaml.load(PUBLISHED.read_text(), yaml.CSafeLoader)
    return {who: _by_key(sources) for who, sources in content.items()}


def _by_key(sources: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, str]]:
    return {key: (value, source) for source, keys in sources.items() for key, value in keys.items()}


def value_at(recipe: Recipe, key: str) -> Any:
    """The recipe's value as YAML gives it; a stage without frames of its own has the recipe's."""
    value: Any = recipe
    for part in key.split("."):
        inner = value.get(part) if isinstance(value, dict) else getattr(value, part)
        value = recipe.frames if part == "frames" and inner is None else inner
        if value is None:
            return None
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def _cell(stated: tuple[Any, str] | None) -> str:
    return NOT_GIVEN if stated is None else f"{_text(stated[0])} ({stated[1]})"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
