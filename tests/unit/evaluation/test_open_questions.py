"""Questions without options: scored by the recipe's own reward, in every table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eval_fixtures import make_config, prediction, sample, write_predictions

from data_builders.audit import audit
from data_builders.sample import Sample
from orchestrator.evaluation.config import EvaluationError
from orchestrator.evaluation.score import score
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe

ARGUMENTS = {"format_weight": 0.1, "tags": ["observation", "think", "answer"]}
OWN = {"function": f"{ROOT}/examples/rewards/numeric.py:compute_score", "arguments": ARGUMENTS}


def open_question(number: int, answer: str) -> Sample:
    return sample(number, task="distance", question="How far?", options=(), answer=answer)


def test_numbers_are_scored_beside_letters(tmp_path: Path) -> None:
    questions = [open_question(0, "4"), open_question(1, "10"), sample(2), sample(3)]
    config = make_config(tmp_path, questions, reward=OWN)
    said = ["4.3", "3", "A", "A"]
    rows = [prediction(one, text) for one, text in zip(questions, said, strict=True)]
    write_predictions(config, rows)
    groups = score(config)["benchmarks"]["held_out"]["checkpoints"]["base"]["shown"]
    assert groups["task/distance"]["accuracy"] == pytest.approx((0.9 + 0.0) / 2)
    assert groups["task/distance"]["f1"] is None
    assert groups["task/distance"]["answered"] == 1.0
    assert groups["task/binary"]["accuracy"] == 0.5
    assert groups["all"]["accuracy"] == pytest.approx((0.9 + 1) / 4)
    assert groups["all"]["wilson_per_question"] is None
    baselines = json.loads(config.scores.read_text())["benchmarks"]["held_out"]["baselines"]
    assert baselines["task/distance"]["chance"] == 0.0
    assert baselines["task/binary"]["chance"] == 0.5


def test_without_a_reward_of_its_own_the_question_is_named(tmp_path: Path) -> None:
    questions = [open_question(0, "4")]
    config = make_config(tmp_path, questions)
    write_predictions(config, [prediction(questions[0], "4")])
    with pytest.raises(
        EvaluationError, match=r"'s0' has no options: say in `tasks` how 'distance' is"
    ):
        score(config)


def test_the_recipes_own_reward_reaches_the_evaluation(tmp_path: Path) -> None:
    given = "rl.reward.function=examples/rewards/numeric.py:compute_score"
    stage = make_plan(load_recipe("tiny", [given]), tmp_path).stage("eval")
    read = json.loads(stage.files[str(stage.directory / "eval.json")])["reward"]
    assert read["function"] == f"{stage.directory}/reward.py:compute_score"
    assert read["arguments"]["format_weight"] == 0.1
    assert str(stage.directory / "reward.py") in stage.files


def test_the_audit_leaves_them_out_of_what_letters_give_away() -> None:
    found = audit([open_question(0, "4"), sample(1), sample(2)])
    assert found.datasets["d/test"].questions == 2
    assert audit([open_question(0, "4")]).datasets == {}


def test_the_tasks_graders_score_answers_wherever_they_stand(tmp_path: Path) -> None:
    questions = [
        sample(0, task="when", options=(), answer=[1, 3]),
        sample(1, task="when", options=(), answer=[0, 2]),
        open_question(2, "4"),
        sample(3),
    ]
    tasks = {"when": {"grader": "interval"}, "distance": {"grader": "relative", "rule": "below"}}
    metrics = {"when": "R@0.5", "distance": "mean"}
    config = make_config(tmp_path, questions, tasks=tasks, metrics=metrics)
    rows = [prediction(one, "[0, 2]") for one in questions]
    rows[2] = prediction(questions[2], "A", response="It is 3 metres away.")
    write_predictions(config, rows)
    groups = score(config)["benchmarks"]["held_out"]["checkpoints"]["base"]["shown"]
    assert groups["task/when"]["accuracy"] == pytest.approx((1 / 3 + 1) / 2)
    assert groups["task/when"]["metric"] == {"name": "R@0.5", "value": 0.5}
    assert groups["task/distance"]["metric"] == {"name": "mean", "value": 0.5}
    assert groups["task/distance"]["rewarded"] == 0.0  # not in the format
    assert groups["task/binary"]["accuracy"] == 0.0
