"""`rl.reward.terms`: what a recipe may say of them, and where it goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe

LENGTH = (
    "rl.reward.terms.length={function: 'reward_plugins/systems/video_r1.py:length', weight: 0.2, "
    "over: group, when: {accuracy: 0.1}, arguments: {shortest: 320, longest: 512}}"
)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("rl.reward.terms.x={function: nowhere.py:f, weight: 1}", "terms.x.function: no file"),
        (
            "rl.reward.terms.score={function: '{own}:f', weight: 1}",
            "score is another score of the reward",
        ),
        ("rl.reward.terms.x={function: '{own}:f', weight: 1, when: {map: 0}}", "is called map"),
        ("rl.reward.terms.x={function: '{own}:f', weight: 1, tasks: [no]}", "no is none of"),
        ("rl.reward.terms.x={function: '{own}:f', weight: 1, arguments: {n: 1}}", "takes no n"),
    ],
)
def test_a_term_that_can_not_be_is_a_mistake_of_the_recipe(
    override: str, said: str, tmp_path: Path
) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def f(response, progress): ...\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", [override.replace("{own}", str(own))])
    assert said in str(caught.value)


def test_what_a_trainer_can_not_tell_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def f(response, progress): ...\n")
    term = f"rl.reward.terms.x={{function: '{own}:f', weight: 1}}"
    load_recipe("tiny", [term])
    with pytest.raises(RecipeError, match=r"terms\.x: takes the training's progress, which EasyR1"):
        load_recipe("tiny", [term, "rl.trainer=easyr1"])


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"rl\.group_size"):
        load_recipe("tiny", [LENGTH, "rl.group_size=1"])


@pytest.mark.parametrize("trainer", ["verl", "easyr1"])
def test_terms_reach_the_trainer_by_the_stages_copy(trainer: str, tmp_path: Path) -> None:
    stage = make_plan(load_recipe("tiny", [LENGTH, f"rl.trainer={trainer}"]), tmp_path).stage("rl")
    copy = f"{stage.directory}/term_0.py"
    assert "def length" in stage.files[copy]
    config = json.loads(stage.files[f"{stage.directory}/train.json"])
    if trainer == "easyr1":
        reward = config["easyr1"]["worker"]["reward"]
        assert reward["reward_function"].endswith("reward_plugins/terms.py:compute_scores")
        told = reward["reward_function_kwargs"]["terms"]["length"]
        assert (told["function"], told["weight"]) == (f"{copy}:length", 0.2)
    else:
        key = "reward.custom_reward_function"
        assert config["overrides"][f"{key}.path"] == "pkg://reward_plugins.terms"
        told = {
            name.rpartition(".terms.length.")[2]: value
            for name, value in config["overrides"].items()
            if ".terms.length." in name
        }
        assert told["function"] == f"{copy}:length"
        assert (told["weight"], told["over"], told["when.accuracy"]) == (0.2, "group", 0.1)
