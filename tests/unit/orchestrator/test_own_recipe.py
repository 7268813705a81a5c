"""A recipe of a user's own: one file, named by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe

EXAMPLE = str(ROOT / "examples" / "recipes" / "still_or_rolling.yaml")


def test_the_example_is_planned_with_what_it_changes_and_overrides(tmp_path: Path) -> None:
    recipe, tiny = load_recipe(EXAMPLE, ["rl.group_size=4"]), load_recipe("tiny")
    assert recipe.data.synthetic is not None and len(recipe.data.synthetic.motions) == 3
    assert (recipe.rl.group_size, recipe.sft) == (4, tiny.sft)
    plan = make_plan(recipe, tmp_path)
    assert plan.directory == tmp_path / "still_or_rolling"


def test_a_path_may_be_relative_and_its_stem_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(EXAMPLE).read_text()
    (tmp_path / "tiny.yaml").write_text(text)  # a name that the project has too
    monkeypatch.chdir(tmp_path)
    assert load_recipe("tiny.yaml").name == "still_or_rolling"


def test_mistakes_of_an_own_recipe_are_said_as_any_others(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(str(tmp_path / "gone.yaml"))
    path = tmp_path / "mine.yaml"
    path.write_text(Path(EXAMPLE).read_text() + "sft:\n  lerning_rate: 1\n")
    with pytest.raises(RecipeError, match=r"sft\.lerning_rate: unknown key; did you mean"):
        load_recipe(str(path))
    path.write_text("defaults: [experiment/none]\n")
    with pytest.raises(RecipeError, match="experiment/none"):
        load_recipe(str(path))
