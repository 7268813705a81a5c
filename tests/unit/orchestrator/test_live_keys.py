"""An override arrives where it should; that no key is dead is tests/unit/docs/test_reference.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from orchestrator.plan import make_plan
from orchestrator.recipe import load_recipe

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
