"""The lines that each example says a recipe needs, in a recipe."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe

EXAMPLES = sorted(
    path for kind in ("rewards", "benchmarks") for path in (ROOT / "examples" / kind).glob("*.py")
)


def lines_of(path: Path) -> list[str]:
    """The indented lines of the docstring that follow "... of the recipe"."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    _, _, after = text.partition("of the recipe")
    return [line.strip() for line in after.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_recipe_with_the_examples_lines_can_be_planned(path: Path, tmp_path: Path) -> None:
    lines = lines_of(path)
    assert lines
    recipe: dict[str, Any] = {"defaults": ["experiment/tiny", "_self_"], "name": "mine"}
    for line in lines:
        (keys, value), *_ = yaml.safe_load(line).items()
        section = recipe
        *outer, last = keys.split(".")
        for key in outer:
            section = section.setdefault(key, {})
        section[last] = value
    (tmp_path / "mine.yaml").write_text("# @package _global_\n" + yaml.safe_dump(recipe))
    plan = make_plan(load_recipe(str(tmp_path / "mine.yaml")), tmp_path)
    files = [text for stage in plan.stages for text in stage.files.values()]
    assert path.read_text() in files
