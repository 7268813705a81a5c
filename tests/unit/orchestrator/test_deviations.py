"""The published values: each fits its key, agrees with the recipes' comments, and is shown."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.cli import main
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.recipe.deviations import NOT_GIVEN, deviations, published, value_at
from orchestrator.recipe.load import RECIPES

INFERRED = {
    "expected",
    "data.sources",
    "data.trajectories.judge.model",
    "eval.checkpoints",
    "eval.max_new_tokens",
}
"""Keys whose value follows from what the paper describes, without standing there."""
STATED = [(who, key) for who, column in published().items() for key in column]


@pytest.mark.parametrize(("who", "key"), STATED)
def test_a_published_value_is_one_that_its_key_takes(who: str, key: str) -> None:
    whole = load_recipe("camreasoner_7b").model_dump(mode="json")
    whole["rl"]["frames"] = whole["eval"]["frames"] = whole["frames"]
    *path, last = key.split(".")
    section = whole
    for part in path:
        section = section[part]
    assert last in section
    section[last] = published()[who][key][0]
    assert value_at(Recipe.model_validate(whole), key) == published()[who][key][0]


def sourced(name: str) -> Iterator[tuple[str, str]]:
    """(key, source) of every line of a recipe whose comment names one."""
    path: list[str] = []
    for line in (RECIPES / "experiment" / f"{name}.yaml").read_text().splitlines():
        if found := re.match(r"( *)([a-z_0-9]+):(.*)", line):
            path = [*path[: len(found[1]) // 2], found[2]]
            if source := re.search(r"# (paper [^;(,]*|released)", found[3]):
                yield ".".join(path), source[1].strip()


SOURCED = [row for row in sourced("camreasoner_7b") if row[0] not in INFERRED]


def stated(key: str, who: str) -> tuple[Any, str]:
    """What is published for `key`; frames of RL are the recipe's own."""
    key = f"rl.{key}" if key.startswith("frames.") else key
    return published()[who][key]


@pytest.mark.parametrize(("key", "source"), SOURCED)
def test_what_the_recipe_says_of_its_source_is_so(key: str, source: str) -> None:
    who, _, where = source.partition(" ")
    value, place = stated(key, who)
    assert value == value_at(load_recipe("camreasoner_7b"), key)
    if who == "paper":
        assert place.split(".")[0] == where.split(".")[0] or place == where


@pytest.mark.parametrize("name", ["camreasoner_7b", "camreasoner_7b_as_released"])
def test_every_published_value_is_followed_or_shown(name: str) -> None:
    recipe = load_recipe(name)
    shown = {row.key: row for row in deviations(recipe)}
    for who, key in STATED:
        same = published()[who][key][0] == value_at(recipe, key)
        assert same or key in shown


def test_a_difference_stands_beside_both_values_and_their_sources() -> None:
    rows = {row.key: row for row in deviations(load_recipe("camreasoner_7b_as_released"))}
    assert rows["rl.frames.max_pixels"] == (
        "rl.frames.max_pixels",
        "1048576",
        "262144 (Table 6)",
        "1048576 (run_rl.sh)",
    )
    assert "rl.group_size" not in rows
    changed = deviations(load_recipe("camreasoner_7b", ["rl.reward.min_block_chars=9"]))
    assert ("rl.reward.min_block_chars", "9", NOT_GIVEN, "0 (onethinker_reward.py)") in changed


def test_the_plan_ends_with_the_differences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "recipe=camreasoner_7b", "rl.group_size=16", f"runs_dir={tmp_path}"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "rl.group_size" in line)
    assert line.split() == ["rl.group_size", "16", "8", "(Table", "6)", "8", "(run_rl.sh)"]


def test_no_key_is_published_twice_by_one_source() -> None:
    for sources in yaml.safe_load((RECIPES / "published.yaml").read_text()).values():
        keys = [key for section in sources.values() for key in section]
        assert len(keys) == len(set(keys))
