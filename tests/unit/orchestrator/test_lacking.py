"""A finished stage that lacks something goes on when it is asked for by its name."""

import json
from pathlib import Path

import pytest

from orchestrator.console import Console
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.outputs import LACKING
from orchestrator.recipe import load_recipe
from orchestrator.run import launch, store
from orchestrator.verbs import recipes
from tests.unit.orchestrator.finished import with_values

LACKS = "rl has no answer to 3 of 648 questions"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The tiny recipe's plan, all of it done but for three answers."""
    plan = make_plan(load_recipe("tiny"), tmp_path)
    for stage in plan.stages:
        store.finish(stage, {})
    evaluated = plan.stage("eval").directory
    (evaluated / "scores.json").write_text('{"benchmarks": {}}')
    (evaluated / LACKING).write_text(json.dumps([LACKS]))
    monkeypatch.setattr(recipes, "make_plan", lambda *_: plan)
    monkeypatch.setattr(launch, "launch", lambda *_: None)
    return plan


def done(plan: Plan) -> list[str]:
    return [stage.name for stage in plan.stages if store.is_done(stage)]


def bring(plan: Plan, verb: str, capsys: pytest.CaptureFixture[str]) -> str:
    recipes.VERBS[verb](["recipe=tiny", f"runs_dir={plan.directory.parent}"], Console())
    return " ".join(capsys.readouterr().out.split())


def test_asked_for_by_name_it_goes_on_and_what_read_it_too(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    before = done(plan)
    said = bring(plan, "eval", capsys)
    assert f"eval again: {LACKS}" in said
    assert done(plan) == [name for name in before if name not in ("eval", "report")]
    assert (plan.stage("eval").directory / LACKING).is_file()  # until it is written anew


@pytest.mark.parametrize("verb", ["run", "status"])
def test_another_verb_says_how(plan: Plan, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = done(plan)
    assert f"{LACKS}; `make eval` again asks only for those" in bring(plan, verb, capsys)
    assert done(plan) == before


def test_a_whole_stage_is_reused(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    (plan.stage("eval").directory / LACKING).unlink()
    before = done(plan)
    assert "again" not in bring(plan, "eval", capsys)
    assert done(plan) == before


def test_a_stage_that_another_process_works_on_is_left_alone(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.owned(with_values(plan.stage("eval"))), pytest.raises(store.RunLockedError):
        bring(plan, "eval", capsys)
    assert "eval" in done(plan)
