"""Recipes: every shipped one loads, and every mistake in one is reported at once."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.recipe import Recipe, load_recipe, recipe_names
from orchestrator.recipe.load import RECIPES, _all_keys

LEAVES = [
    key for key in _all_keys(Recipe) if not any(k.startswith(f"{key}.") for k in _all_keys(Recipe))
]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_under_its_own_name(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_paper_recipe_carries_the_papers_numbers() -> None:
    recipe = load_recipe("camreasoner_7b")
    rl = recipe.rl
    assert (rl.reward.format_weight, rl.group_size, rl.ema.beta) == (0.1, 8, 0.99)
    assert (rl.prompts_per_step, rl.minibatch_prompts) == (128, 32)
    assert recipe.stages["rl"].start == "sft:epoch:2"
    assert recipe.sft.epochs == 3
    assert recipe.frames.max_pixels == 262144


def test_overrides_reach_nested_keys() -> None:
    recipe = load_recipe("tiny", ["rl.group_size=4", "rl.reward.format_weight=0.3"])
    assert (recipe.rl.group_size, recipe.rl.reward.format_weight) == (4, 0.3)


def test_all_mistakes_are_reported_at_once_with_the_nearest_key() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(
            "tiny", ["sft.lerning_rate=1", "rl.group_size=abc", "rl.rewrad.format_weight=1"]
        )
    message = str(caught.value)
    assert "3 mistakes" in message
    assert "sft.lerning_rate: unknown key; did you mean sft.learning_rate" in message
    assert "rl.group_size" in message and "'abc'" in message
    assert "rl.rewrad: unknown key; did you mean rl.reward" in message


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(LEAVES))
def test_a_typo_in_any_key_names_that_key(key: str) -> None:
    with pytest.raises(RecipeError, match=key.rpartition(".")[2]):
        load_recipe("tiny", [f"{key}x=1"])


def test_unknown_recipe_lists_the_nearest() -> None:
    with pytest.raises(RecipeError, match="camreasoner_7b"):
        load_recipe("camreasoner_7")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("rl.minibatch_prompts=7", "rl.minibatch_prompts"),
        ("rl.kl.kl_coef=0.1", "rl.kl.kl_coef"),
        ("rl.filter.low=0.99", "rl.filter.low"),
        ("frames.min_frames=64", "frames.min_frames"),
        ("rl.rollout.repetition_penalty=1.1", "rl.rollout.repetition_penalty: rl.rollout.engine"),
        ("rl.rollout.top_p=0.95", "rl.rollout.top_p: rl.rollout.engine=hf"),
        ("cluster.device=cuda", "rl.rollout.engine"),
        ("rl.precision=bf16", "rl.precision"),
        ("sft.precision=bf16", "sft.precision"),
        ("data.sources=[camerabench]", "data.sources"),
        ("rl.group_size=1", "rl.group_size"),
        ("rl.microbatch_responses=100", "rl.microbatch_responses"),
        ("stages.rl.start=sft:step:7", "stages.rl.start"),
        ("stages.rl.start=sft:best", "stages.rl.start"),
        ("rl.sft_checkpoint=epoch:2", "rl.sft_checkpoint: retired; now stages.<name>.start"),
        ("merge.dtype=fp32", "merge: retired; now rl.merge_dtype"),
        ("stages=true", "stages: Input .*found True"),
        ("rl=3", "1 mistake:\n  rl: Input should be"),
        ("prompt.tags=[think]", "prompt.tags"),
        ("prompt.tags=[plan,answer]", "prompt.tags"),
    ],
)
def test_contradictions_name_their_key(override: str, key: str) -> None:
    with pytest.raises(RecipeError, match=key):
        load_recipe("tiny", [override])


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["rl.rollout.max_batched_tokens=20479"], r"20479 is below the 20480 of rl.max_prompt_len"),
        (["rl.max_response_length=4097"], r"20480 is below the 20481"),
        (["rl.rollout.tensor_parallel=3"], r"tensor_parallel: 3 does not divide the 4 GPUs"),
        (["eval.engines=5"], r"eval.engines: 5 of 1 GPUs each, .* has 4; set it to 4"),
        (["sample.engines=5"], r"sample.engines: 5 of 1 GPUs each"),
        (
            ["eval.engines=3", "eval.vllm.tensor_parallel_size=2"],
            r"eval.engines: 3 of 2 GPUs each, .* has 4; set it to 2",
        ),
        (["eval.vllm.tensor_parallel_size=8"], r"set it to null, and fewer GPUs an engine"),
        (["rl.precision=fp32"], r"rl.padding_free: needs rl.precision=bf16"),
        (["rl.precision=fp32", "rl.trainer=easyr1"], r"rl.precision: EasyR1 .* in bf16 alone"),
        (
            ["rl.precision=fp32", "rl.padding_free=false", "rl.optimizer_precision=bf16"],
            r"rl.optimizer_precision: bf16 with rl.precision=fp32",
        ),
    ],
)
def test_what_would_die_on_the_gpus_is_refused_before(overrides: list[str], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        load_recipe("camreasoner_7b", overrides)


def test_a_logger_that_easyr1_lacks_is_refused() -> None:
    with pytest.raises(RecipeError, match="loggers: EasyR1 has no trackio"):
        load_recipe("camreasoner_7b", ["rl.trainer=easyr1", "loggers=[trackio]"])


def test_a_key_that_is_given_two_values_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"rl.group_size: given 2 different values"):
        load_recipe("tiny", ["rl.group_size=4", "+rl.group_size=8"])
    assert load_recipe("tiny", ["rl.group_size=4", "rl.group_size=4"]).rl.group_size == 4


def test_a_key_that_stands_twice_in_a_file_is_an_error(tmp_path: Path) -> None:
    shutil.copytree(RECIPES, tmp_path / "recipes")
    twice = "# @package _global_\nname: twice\nrl:\n  group_size: 4\n  group_size: 8\n"
    (tmp_path / "recipes" / "experiment" / "twice.yaml").write_text(twice)
    with pytest.raises(RecipeError, match=r"(?s)duplicate key group_size.*twice.yaml.*line 5"):
        load_recipe("twice", root=tmp_path / "recipes")


def test_a_recipe_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(RecipeError("message")))
    assert isinstance(error, ValueError) and str(error) == "message"


def test_shotvl_teaches_the_bare_answer_and_rewards_think_and_answer(tmp_path: Path) -> None:
    recipe = load_recipe("shotvl_3b")
    stage = make_plan(recipe, tmp_path).stage("sft")
    taught = json.loads(stage.files[str(stage.directory / "prepare.json")])["prompt"]
    assert (taught["tags"], recipe.prompt.tags) == ([], ("think", "answer"))
    assert taught["template"] == recipe.prompt.template
