"""A recipe is any order of stages: each chain of the field is sayable, and mistakes are named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RecipeError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.recipe.policy import Policy, parse_policy

NONE = ("stages.sft=null", "stages.rl=null")
CHAINS = {
    "CaMo": (["~stages.rl"], ["sft"]),
    "SpaceR": (["~stages.sft", "stages.rl.start=base"], ["rl"]),
    "CamReasoner": ([], ["sft", "rl"]),
    "LOVE-R1": (
        [*NONE, "+stages.one={kind: sft}", "+stages.two={kind: sft}", "+stages.rl2={kind: rl}"],
        ["one", "two", "rl2"],
    ),
    "SpatialLadder": (
        [
            *NONE,
            "+stages.perceive={kind: sft}",
            "+stages.understand={kind: sft, epochs: 2}",
            "+stages.coldstart={kind: sft}",
            "+stages.reason={kind: rl, start: 'coldstart:step:800', group_size: 4, "
            "microbatch_responses: 32, logprob_microbatch_responses: 32}",
        ],
        ["perceive", "understand", "coldstart", "reason"],
    ),
    "ViLaSR": (
        [
            *NONE,
            "+stages.cold={kind: sft}",
            "+stages.reflect={kind: sample}",
            "+stages.warm={kind: sft, start: base, questions: reflect}",
            "+stages.reason={kind: rl}",
        ],
        ["cold", "reflect", "warm", "reason"],
    ),
    "Time-R1": (
        [
            *NONE,
            "+stages.round1={kind: rl, start: base}",
            "+stages.hard1={kind: sample, keep: between}",
            "+stages.round2={kind: rl, questions: hard1}",
        ],
        ["round1", "hard1", "round2"],
    ),
}


def plan_of(tmp_path: Path, overrides: list[str]) -> Plan:
    return make_plan(load_recipe("tiny", overrides), tmp_path)


@pytest.mark.parametrize("system", CHAINS)
def test_the_chains_of_the_field_can_be_said(system: str, tmp_path: Path) -> None:
    overrides, stages = CHAINS[system]
    plan = plan_of(tmp_path, overrides)
    names = [stage.name for stage in plan.stages]
    assert names == ["data", "model", *stages, "eval", "report"]
    assert {stage.name for stage in plan.until("eval")} >= {"data", "model", stages[-1]}
    assert Recipe.model_validate(plan.recipe.model_dump(mode="json")) == plan.recipe


def test_a_stage_starts_where_the_one_before_it_ended(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CHAINS["SpatialLadder"][0])
    starts = {name: spec.start for name, spec in plan.recipe.stages.items()}
    assert starts["perceive"] == "base" and starts["understand"] == "perceive"
    assert plan.stage("perceive").directory / "last" in plan.stage("understand").needs
    assert plan.stage("coldstart").directory / "step-800" in plan.stage("reason").needs


def test_sampling_leaves_no_policy_to_start_from(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CHAINS["Time-R1"][0])
    assert plan.recipe.stages["round2"].start == "round1"
    questions = plan.stage("hard1").directory / "questions.parquet"
    assert questions in plan.stage("round2").needs
    with pytest.raises(RecipeError, match=r"stages\.round2\.start: hard1 samples questions"):
        load_recipe("tiny", [*CHAINS["Time-R1"][0], "stages.round2.start=hard1"])


def test_a_section_reaches_all_stages_of_its_kind_and_a_stage_only_itself(tmp_path: Path) -> None:
    sizes = ["rl.microbatch_responses=32", "rl.logprob_microbatch_responses=32"]
    two = [*NONE, "+stages.a={kind: rl}", "+stages.b={kind: rl}", *sizes]
    recipe = load_recipe("tiny", [*two, "rl.group_size=4", "stages.b.reward.format_weight=0.3"])
    a, b = recipe.stages["a"], recipe.stages["b"]
    assert a.kind == b.kind == "rl" and (a.group_size, b.group_size) == (4, 4)
    assert (a.reward.format_weight, b.reward.format_weight) == (0.1, 0.3)
    assert b.reward.matching == a.reward.matching
    stage = make_plan(recipe, tmp_path).stage("b")
    overrides = json.loads(stage.files[str(stage.directory / "train.json")])["overrides"]
    key = "+reward.custom_reward_function.reward_kwargs.format_weight"
    assert overrides[key] == 0.3 and overrides["actor_rollout_ref.rollout.n"] == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["stages.rl.grup_size=4"], "stages.rl.grup_size: unknown key; did you mean stages.rl.g"),
        (["+stages.x={kind: grpo}"], r"stages\.x\.kind: give one of sft, rl, sample"),
        (["+stages.x={start: base}"], r"stages\.x\.kind: give one of sft, rl, sample"),
        (["stages.rl.start=sft:epoch"], r"stages\.rl\.start: .*pattern"),
        (["stages.rl.start=sfd"], r"stages\.rl\.start: sfd names no stage .*base, sft, rl"),
        (["stages.rl.start=sft:epoch:2"], r"sft:epoch:2 is not saved; set sft.save_every=epoch"),
        (["stages.rl.start=base:step:4"], "is the base model, which has no checkpoints"),
        (["eval.checkpoints=[rl:epoch:1]"], "rl saves steps, not epochs"),
        (["eval.checkpoints=[rl:step:7]"], "rl:step:7 is not saved with rl.save_every=10"),
        (["eval.checkpoints=[rl:step:40]"], "rl:step:40 is beyond rl.max_steps 30"),
        (["stages.rl.questions=hard"], "stages.rl.questions: no set called hard; there are sft, r"),
        (["stages.sft.start=rl"], "sft and rl start from, or read, one another"),
        (["+stages.eval={kind: sft}"], "stages: eval is the name of another part of a run"),
        (["+stages.test={kind: sample}"], r"stages\.test: samples a set of questions, and test"),
        (["stages.rl.group_size=1"], r"stages\.rl\.group_size: .*greater than or equal to 2"),
        (["rl.start=base"], r"rl\.start: retired; now stages\.<name>\.start"),
        (["+stages.s={kind: sample, temperature: 0}"], r"responses: 8 greedy ones are all the"),
        (["+stages.s={kind: sample, keep: between, low: 1}"], r"low: 1\.0 is not below .*high"),
        (["eval.models={rl: {path: x}}"], "eval.models: rl names a policy of this recipe"),
    ],
)
def test_a_chain_that_can_not_be_is_named_with_its_key(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("tiny", overrides)


def test_a_mistake_of_a_section_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", [*CHAINS["Time-R1"][0], "rl.group_size=1", "rl.lerning_rate=1"])
    assert "2 mistakes" in str(caught.value) and "stages." not in str(caught.value)


def test_an_rl_checkpoint_can_be_evaluated_and_started_from(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ["eval.checkpoints=[base,'rl:step:20',rl]"])
    needs = plan.stage("eval").needs
    assert plan.stage("rl").directory / "step-20" in needs
    assert plan.stage("rl").directory / "last" in needs


NAMES = st.from_regex(
    r"[a-z][a-z0-9_]{0,8}(:(last|epoch:[1-9][0-9]?|step:[1-9][0-9]{0,3}))?", fullmatch=True
)


@given(NAMES)
def test_a_policys_name_reads_as_it_is_written(name: str) -> None:
    policy = parse_policy(name)
    assert parse_policy(str(policy)) == policy
    assert policy.folder == policy.checkpoint.replace(":", "-")


@pytest.mark.parametrize(
    "name", ["", "SFT", "sft:", "sft:epoch:0", "sft:step:x", "a:b", "sft/last"]
)
def test_what_is_no_policy_is_refused_with_the_grammar(name: str) -> None:
    with pytest.raises(ValueError, match=r"base \| <stage>\[:last\|epoch:N\|step:N\]"):
        parse_policy(name)
    assert Policy("sft").folder == "last"


def test_a_stage_can_name_a_set_of_a_published_file_or_of_a_function(tmp_path: Path) -> None:
    files = "{x: {rows: '/rows', sets: {grounding: g.json, spatial: s.json}, clips: '/clips'}}"
    named = ["data.sources=[synthetic,x]", f"+data.files={files}", "stages.sft.questions=spatial"]
    plan = plan_of(tmp_path, named)
    assert plan.stage("data").directory / "spatial.parquet" in plan.stage("sft").needs
    with pytest.raises(RecipeError, match="no set called maps; there are sft, rl, test, grounding"):
        load_recipe("tiny", [*named[:2], "stages.sft.questions=maps"])
    own = tmp_path / "own.py"
    own.write_text("def sets(folder):\n    return {}\n")
    load_recipe("tiny", [f"data.sources=[synthetic,'{own}:sets']", "stages.sft.questions=maps"])
