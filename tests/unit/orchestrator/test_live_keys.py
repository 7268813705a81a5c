"""No key of a recipe is dead: another value of it changes what some stage runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from data_builders.trajectory_specs import EndpointSpec
from orchestrator.plan import Plan, make_plan
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.recipe.load import _all_keys
from orchestrator.recipe.rules import broken_rules

READ_ELSEWHERE = {
    "expected": "shown when a run starts",
    "cluster.address": "where the launcher connects",
    "eval.judge.endpoint.temperature": "only 0 is allowed: a judge repeats itself",
    "review.port": "where the review page is served",
    "review.sample": "what the review page shows",
}
"""Keys that decide nothing about a stage, and who reads them."""
COUPLED = {
    "rl.kl.enabled": "actor_rollout_ref.actor.use_kl_loss",
    "rl.rollout.engine": "actor_rollout_ref.rollout.name",
    "cluster.device": "trainer.device",
}
"""Keys that change only together with others, and where verl gets them."""
KEYS = _all_keys(Recipe)
LEAVES = [
    key
    for key in KEYS
    if key not in {**READ_ELSEWHERE, **COUPLED}
    and not any(other.startswith(f"{key}.") for other in KEYS)
]
OWN_REWARD = "examples/rewards/length_window.py:compute_score"
POOL: tuple[Any, ...] = (
    *(True, False, None, 0, 1, 2, 3, 4, 5, 7, 16, 64, 100_000, 0.25, 0.5, 0.75, 1.5),
    *("x", "/x", "last", "epoch:1", "step:200", "{question} {options} x", "hf", "vllm"),
    *(["x"], ["answer"], ["think", "answer"], ["base"], [0.5, 0.6], [0.01, 0.02], ["wandb"]),
    *(["synthetic"], ["camerabench"], ["shotqa"], ["static"], ["binary"], {"x": 1}, {"zoom": 7}),
    *({"synthetic": 0.5}, {"camerabench": 0.5}, {"x": {"path": "x"}}, ["sft:last"]),
    OWN_REWARD,
)
"""Values to try; those that a key doesn't take are passed over."""


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Sources do not change here, so they are not hashed again for each plan."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.stage.source_hash", lambda name: "")
        yield


def bases() -> Iterator[dict[str, Any]]:
    """Recipes that between them have every section, for either RL trainer."""
    for trainer in ("verl", "easyr1"):
        for name in ("camreasoner_7b", "tiny"):
            whole = load_recipe(name, [f"rl.trainer={trainer}"]).model_dump(mode="json")
            whole["rl"]["frames"] = whole["eval"]["frames"] = whole["frames"]
            whole["sft"]["prompt"] = whole["prompt"]
            whole["eval"]["benchmarks"] = ["held_out", "synthetic"]
            whole["eval"]["models"] = {"served": {"base_url": "http://localhost/v1", "model": "m"}}
            whole["eval"]["judge"] = {
                "endpoint": EndpointSpec(model="m", temperature=0.0).model_dump(mode="json"),
                "benchmarks": ["held_out", "synthetic"],
                "labels": None,
                "failures_in_a_row": 9,
            }
            if name == "tiny":
                whole["data"]["sources"] += ["folder"]
                whole["data"]["folder"] = {"clips": "clips", "questions": "questions.csv"}
                whole["rl"]["reward"]["function"] = OWN_REWARD
            yield whole
    yield load_recipe("shotvl_3b").model_dump(mode="json")


BASES = list(bases())


def ran(plan: Plan) -> list[object]:
    """Everything that a stage's process reads; the report is left out, it prints the recipe."""
    stages = [stage for stage in plan.stages if stage.name != "report"]
    return [(stage.fingerprint, stage.resources, stage.needs) for stage in stages]


def candidates(key: str) -> Iterator[Any]:
    """Values for `key`: what its type lists, then the pool."""
    annotation = _annotation(Recipe, key.split("."))
    stack = [annotation]
    while stack:
        inner = stack.pop()
        stack += [part for part in get_args(inner) if not isinstance(part, str)]
        yield from (part for part in get_args(inner) if isinstance(part, str))
    yield from POOL


def _annotation(model: type[BaseModel], path: list[str]) -> Any:
    field = model.model_fields[path[0]]
    if len(path) == 1:
        return field.annotation
    inner = [field.annotation, *get_args(field.annotation)]
    section = next(c for c in inner if isinstance(c, type) and issubclass(c, BaseModel))
    return _annotation(section, path[1:])


def replaced(whole: dict[str, Any], path: list[str], value: Any) -> dict[str, Any] | None:
    """`whole` with `value` at `path`; None where the recipe lacks that section."""
    head, *rest = path
    if not rest:
        return None if whole[head] == value else {**whole, head: value}
    inner = replaced(whole[head], rest, value) if isinstance(whole[head], dict) else None
    return None if inner is None else {**whole, head: inner}


def checked(whole: dict[str, Any] | None) -> Recipe | None:
    """The recipe, if it is one."""
    try:
        recipe = Recipe.model_validate(whole)
    except ValidationError:
        return None
    return None if broken_rules(recipe) else recipe


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> list[list[object]]:
    root = tmp_path_factory.getbasetemp()
    return [ran(make_plan(Recipe.model_validate(base), root)) for base in BASES]


@pytest.mark.parametrize("key", LEAVES)
def test_another_value_changes_what_runs(
    key: str, before: list[list[object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, tried = tmp_path_factory.getbasetemp(), []
    for value in candidates(key):
        for base, plain in zip(BASES, before, strict=True):
            recipe = checked(replaced(base, key.split("."), value))
            if recipe is None:
                continue
            if ran(make_plan(recipe, root)) != plain:
                return
            tried.append(value)
    pytest.fail(f"{key}: dead; none of {tried} changes a plan")


@pytest.mark.parametrize(("key", "theirs"), COUPLED.items())
def test_a_coupled_key_arrives_too(key: str, theirs: str, tmp_path: Path) -> None:
    said = []
    for name in ("camreasoner_7b", "tiny"):  # which differ in all of them
        stage = make_plan(load_recipe(name), tmp_path).stage("rl")
        overrides = json.loads(stage.files[str(stage.directory / "train.json")])["overrides"]
        said += [line for line in overrides if line.startswith(f"{theirs}=")]
    assert len(set(said)) == 2, f"{key} does not reach {theirs}: {said}"


SIMPLE = {
    "seed": st.integers(0, 10**6),
    "data.workers": st.integers(1, 64),
    "sft.learning_rate": st.floats(1e-7, 1e-2),
    "sft.warmup_ratio": st.floats(0, 1),
    "sft.max_length": st.integers(1, 10**5),
    "rl.max_response_length": st.integers(1, 10**4),
    "rl.reward.format_weight": st.floats(0, 1),
    "rl.ema.beta": st.floats(0, 0.999),
    "rl.rollout.temperature": st.floats(0.01, 2),
    "rl.learning_rate": st.floats(1e-8, 1e-2),
    "eval.max_new_tokens": st.integers(1, 10**5),
}


@settings(max_examples=10, deadline=None, phases=[Phase.generate])  # an example takes a while
@given(st.data())
def test_an_override_on_the_command_line_arrives_as_it_was_said(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(SIMPLE)))
    value = data.draw(SIMPLE[key])
    found: Any = load_recipe("tiny", [f"{key}={value}"])
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value
