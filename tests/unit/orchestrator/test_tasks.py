"""`tasks:`, one section for reward and evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe

RELATIVE = "tasks.distance={grader: relative, rule: at_most}"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tasks.distance={grader: metres}", "'metres' is none of letter, number, relative"),
        ("tasks.distance={grader: relative}", "two are published, at_most and below"),
        ("tasks.distance={grader: number, rule: below}", "takes decimals, not rule"),
        ("tasks.distance={grader: number, metric: R@0.5}", "R@0.5 is of overlaps"),
        ("tasks.distance={grader: nowhere.py:f}", "tasks.distance.grader: no file"),
        ("rl.reward.tasks=[binary]", "rl.reward.tasks: unknown key"),
        ("prompt.tails={binary: x}", "say them as tasks.<name>.tail"),
    ],
)
def test_a_task_that_nobody_scores_is_a_mistake_of_the_recipe(override: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", [override])
    assert said in str(caught.value)


@pytest.mark.parametrize("trainer", ["verl", "easyr1"])
def test_training_and_evaluation_are_told_the_same(trainer: str, tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def close(answer, truth, facts):\n    return 1.0\n")
    overrides = [RELATIVE, f"tasks.far={{grader: '{own}:close'}}", f"rl.trainer={trainer}"]
    plan = make_plan(load_recipe("tiny", overrides), tmp_path)
    config = json.loads(plan.stage("eval").files[str(plan.stage("eval").directory / "eval.json")])
    assert config["tasks"]["distance"] == {"grader": "relative", "rule": "at_most"}
    assert config["tasks"]["far"] == {"grader": f"{plan.stage('eval').directory}/grader_0.py:close"}
    rl = plan.stage("rl")
    assert rl.files[str(rl.directory / "grader_0.py")] == own.read_text()
    told = "".join(rl.files.values()) + json.dumps([command.argv for command in rl.commands])
    assert "relative" in told and "at_most" in told
    assert f"{rl.directory}/grader_0.py:close" in told


def test_tails_and_system_turns_reach_every_prompt(tmp_path: Path) -> None:
    tasks = "tasks.binary={grader: letter, tail: Answer by letter., system: You see well.}"
    plan = make_plan(load_recipe("tiny", [tasks]), tmp_path)
    for stage, file in (("sft", "prepare"), ("rl", "prepare"), ("eval", "eval")):
        files = plan.stage(stage).files
        prompt = json.loads(files[str(plan.stage(stage).directory / f"{file}.json")])["prompt"]
        assert prompt["tails"] == {"binary": "Answer by letter."}
        assert prompt["systems"] == {"binary": "You see well."}
    with pytest.raises(RecipeError, match=r"tasks\.binary\.system: EasyR1 has one system turn"):
        load_recipe("tiny", [tasks, "rl.trainer=easyr1"])
    with pytest.raises(RecipeError, match=r"tasks\.binary\.system: EasyR1 has one system turn"):
        load_recipe("tiny", [tasks, "stages.rl.trainer=easyr1"])


@pytest.mark.parametrize("key", ["prompt", "sft.prompt", "rl.prompt", "stages.rl.prompt"])
def test_tails_are_said_of_tasks_and_of_no_prompt(key: str) -> None:
    with pytest.raises(RecipeError, match=rf"{key}\.tails, .*: say them as tasks\.<name>\.tail"):
        load_recipe("tiny", [f"{key}={{system: s, tags: [answer], tails: {{binary: x}}}}"])


def test_tasks_may_share_a_std(tmp_path: Path) -> None:
    for trainer in ("verl", "easyr1"):
        tasks = ["tasks.binary.ema=choice", "tasks.multiple_choice.ema=choice"]
        stage = make_plan(load_recipe("tiny", [*tasks, f"rl.trainer={trainer}"]), tmp_path).stage(
            "rl"
        )
        told = json.dumps(json.loads(stage.files[str(stage.directory / "train.json")]))
        assert "multiple_choice" in told and told.count("choice\\") >= 2, told[:3000]
