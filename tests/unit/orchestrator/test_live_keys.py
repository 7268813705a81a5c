"""An override arrives where it should; that no key is dead is tests/unit/docs/test_reference.py."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from docs.generator.arrivals import candidates, checked, places, replaced
from orchestrator.plan.extra import flat
from orchestrator.plan.make import make_plan
from orchestrator.recipe import Recipe, load_recipe, recipe_names
from tests.unit.orchestrator.snapshots import trainers

COUPLED = {
    "rl.kl.enabled": "actor_rollout_ref.actor.use_kl_loss",
    "rl.rollout.engine": "actor_rollout_ref.rollout.name",
    "cluster.device": "trainer.device",
}
"""Keys that change only together with others, and where verl gets them."""


@pytest.mark.parametrize(("key", "theirs"), COUPLED.items())
def test_a_coupled_key_arrives_too(key: str, theirs: str, tmp_path: Path) -> None:
    said = []
    for name in ("camreasoner_7b", "tiny"):  # which differ in all of them
        stage = make_plan(load_recipe(name), tmp_path).stage("rl")
        overrides = json.loads(stage.files[str(stage.directory / "train.json")])["overrides"]
        said.append(str(overrides[theirs]))
    assert len(set(said)) == 2, f"{key} does not reach {theirs}: {said}"


OWNERS = {"sft": ("llamafactory", "deepspeed", "sft"), "rl": ("verl", "easyr1", "rl")}
"""Where a key of these sections must arrive: in the trainer's config, or in what goes before it."""
BOUND = {
    *("sft.frames", "sft.prompt", "rl.frames", "rl.prompt", "rl.validation"),  # null, or a section
    *("sft.prompt.tails", "sft.prompt.systems"),  # those of `tasks`
    *("sft.save_every", "sft.prompt.tags", "sft.precision"),
    *("rl.precision", "rl.optimizer_precision", "rl.prompts_per_step"),
    *("rl.rollout.top_p", "rl.rollout.repetition_penalty", "rl.trainer"),
    *("rl.rollout.engine", "rl.kl.enabled", "rl.kl.kl_coef", "rl.reward.arguments"),
}
"""Keys that some recipe lets change only together with others, or not at all."""

TERM = r"rl\.reward\.(terms\.\w+\.(function|arguments|tasks|when\.\w+)|function)"
"""A term's function hangs on its arguments, its tasks and scores on the recipe's; and a veto wants
this project's reward."""


def unread(recipe: Recipe) -> Iterator[str]:
    """Keys of which the trainer has no use in this recipe, and says so in the reference."""
    if recipe.rl.trainer == "easyr1":
        yield "rl.max_tokens_per_device"
        if recipe.cluster.device == "cpu":
            yield "rl.rollout.engine"  # it samples by vLLM, always
    elif not recipe.rl.filter.enabled:
        yield from (f"rl.filter.{name}" for name in ("metric", "low", "high", "max_refills"))
    if recipe.rl.trainer == "verl" and recipe.rl.max_steps is not None:
        yield "rl.epochs"
    if recipe.rl.trainer == "verl" and recipe.cluster.device == "cpu":
        yield from ("rl.rollout.gpu_memory_utilization", "rl.rollout.max_batched_tokens")


@pytest.mark.parametrize(
    ("name", "trainer"),
    [(name, t) for name in recipe_names() if load_recipe(name).stages for t in trainers(name)],
)
def test_every_key_of_every_recipe_reaches_either_trainer(name: str, trainer: str) -> None:
    recipe = load_recipe(name, [f"rl.trainer={trainer}"])
    whole = recipe.model_dump(mode="json")
    plain, stuck, bound = places(recipe), set(), set()
    stages = {kind: [n for n, s in recipe.stages.items() if s.kind == kind] for kind in OWNERS}
    for key in (key for key in flat(whole) if stages.get(key.partition(".")[0])):
        others = (checked(replaced(whole, key.split("."), value)) for value in candidates(key))
        tried = list(itertools.islice(filter(None, others), 3))
        kind = key.partition(".")[0]
        owners = (*OWNERS[kind], *stages[kind])
        if not tried:
            bound.add(key)
        elif not any(arrives(plain, places(other), owners) for other in tried):
            stuck.add(key)
    assert stuck == {key for key in unread(recipe) if stages[key.partition(".")[0]]}
    assert {key for key in bound if not re.fullmatch(TERM, key)} <= BOUND


def arrives(before: dict[str, str], after: dict[str, str], owners: tuple[str, ...]) -> bool:
    """Whether a place of one of the `owners` changed."""
    changed = (at for at in before.keys() | after.keys() if before.get(at) != after.get(at))
    return any(at.split(" ")[0] in owners for at in changed)


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
