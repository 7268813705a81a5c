"""A rehearsal changes what its list says, and nothing else."""

import re

import pytest

from orchestrator.errors import RecipeError
from orchestrator.plan.extra import flat
from orchestrator.recipe import Recipe, load_recipe, recipe_names
from orchestrator.rehearse.changes import (
    NONE,
    load_spec,
    recipe_changes,
    rehearsed,
    trainer_changes,
)

OTHERS = {"tiny", "camreasoner_qwen3vl_8b", "onethinker_8b"}
"""The first is small already, the others have another architecture."""
TRAINED = [name for name in recipe_names() if name not in OTHERS and load_recipe(name).stages]
KEPT = (
    "data.sources",
    "data.files",
    "frames",
    "prompt",
    "stages",
    "sft.precision",
    "sft.zero_stage",
    "sft.gradient_checkpointing",
    "sft.epochs",
    "sft.save_every",
    "rl.precision",
    "rl.optimizer_precision",
    "rl.advantage",
    "rl.ema",
    "rl.kl",
    "rl.filter",
    "rl.reward",
    "rl.group_size",
    "rl.learning_rate",
    "rl.rollout.engine",
    "rl.gradient_checkpointing",
    "rl.dynamic_batching",
    "rl.microbatch_responses",
    "rl.merge_dtype",
    "eval.engine",
    "eval.benchmarks",
    "eval.checkpoints",
)


def part(recipe: Recipe, key: str) -> object:
    value: object = recipe.model_dump(mode="json")
    for name in key.split("."):
        assert isinstance(value, dict)
        value = value[name]
    return value


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", TRAINED)
def test_only_listed_keys_of_a_recipe_differ(name: str, device: str) -> None:
    spec = load_spec(device)
    recipe, small = rehearsed(name, [], spec)
    listed = {*spec.size, *spec.hardware}
    for change in recipe_changes(recipe, small, spec):
        assert re.sub(r"^stages\.\w+", "rl", change.key) in listed | {f"rl.{k}" for k in listed}
        assert change.why == ("hardware" if change.key in spec.hardware else "size")
        assert change.old != change.new


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", TRAINED)
def test_what_makes_a_recipe_is_kept(name: str, device: str) -> None:
    recipe, small = rehearsed(name, [], load_spec(device))
    assert {key: part(small, key) for key in KEPT} == {key: part(recipe, key) for key in KEPT}


@pytest.mark.parametrize("name", TRAINED)
def test_the_device_changes_only_listed_keys_of_what_stages_read(name: str) -> None:
    spec = load_spec("cpu")
    _, small = rehearsed(name, [], spec)
    listed = {(file, key) for file, keys in spec.trainers.items() for key in keys}
    found = [change.key.split(" ", 2) for change in trainer_changes(small)]
    assert {(file, key) for _, file, key in found} <= listed


def test_every_key_of_the_list_is_alive() -> None:
    """One of the recipes has another value: a key that none has is to be taken off the list."""
    spec = load_spec("cpu")
    keys: set[str] = set()
    files: set[tuple[str, ...]] = set()
    for name in TRAINED:
        recipe, small = rehearsed(name, ["cluster.pin=a", "cluster.nodes=2"], spec)
        keys |= {change.key for change in recipe_changes(recipe, small, spec)}
        files |= {tuple(change.key.split(" ", 2)[1:]) for change in trainer_changes(small)}
    assert {*spec.size, *spec.hardware} - keys == {"cluster.address"}
    listed = {(file, key) for file, names in spec.trainers.items() for key in names}
    assert listed == files


def test_a_gpu_keeps_what_only_a_gpu_has() -> None:
    recipe, small = rehearsed("camreasoner_7b", [], load_spec("cuda"))
    assert small.rl.padding_free and small.cluster.device == "cuda"
    assert small.eval.vllm == recipe.eval.vllm and trainer_changes(small) == []
    keys = [change.key for change in recipe_changes(recipe, small, load_spec("cuda"))]
    assert [key for key in keys if key.startswith("cluster.")] == ["cluster.gpus_per_node"]


def test_the_users_own_values_are_rehearsed_and_ours_make_them_small() -> None:
    recipe, small = rehearsed(
        "camreasoner_7b", ["rl.group_size=4", "rl.max_steps=85"], load_spec("cpu")
    )
    assert small.rl.group_size == recipe.rl.group_size == 4
    assert (recipe.rl.max_steps, small.rl.max_steps) == (85, 3)


def test_a_stage_of_its_own_mind_is_made_small_too() -> None:
    spec = load_spec("cpu")
    own = ["stages.rl.max_steps=85", "stages.rl.rollout.tensor_parallel=1"]
    recipe, small = rehearsed("camreasoner_7b", own, spec)
    stage = small.stages["rl"]
    assert stage.kind == "rl" and (stage.max_steps, stage.rollout.tensor_parallel) == (3, 2)
    assert "rl.max_steps" in {change.key for change in recipe_changes(recipe, small, spec)}


def test_a_value_that_is_not_there_is_shown_as_such() -> None:
    _, small = rehearsed("camreasoner_7b", [], load_spec("cpu"))
    (change,) = [c for c in trainer_changes(small) if c.key.endswith("DS_ACCELERATOR")]
    assert change[1:] == (NONE, "cpu", "hardware")


def test_an_unknown_device_names_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"rehearsal\.device=tpu: choose one of cpu, cuda"):
        load_spec("tpu")


def test_the_list_is_of_recipe_keys() -> None:
    known = flat(load_recipe("camreasoner_7b_as_released").model_dump(mode="json"))
    for key in (*load_spec("cpu").size, *load_spec("cpu").hardware):
        assert any(key == name or name.startswith(f"{key}.") for name in known), key


def test_another_architecture_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"sft\.template=qwen3_vl_nothink is of another"):
        rehearsed("camreasoner_qwen3vl_8b", [], load_spec("cpu"))
