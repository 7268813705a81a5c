"""EasyR1's own loader on the configuration that a recipe is rendered to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("EASYR1_HOME"):
    pytest.skip("EASYR1_HOME names no EasyR1 checkout", allow_module_level=True)

from omegaconf import OmegaConf
from verl.trainer.config import PPOConfig

from orchestrator.plan.make import make_plan
from orchestrator.recipe import Recipe, load_recipe
from reward_plugins.easyr1_plugin.launch import LaunchConfig
from reward_plugins.ema_grpo import EmaNormalizer


def render(*overrides: str) -> tuple[Recipe, LaunchConfig, Any]:
    """The paper's recipe, what the launcher reads of it, and what EasyR1 makes of that."""
    recipe = load_recipe("camreasoner_7b", ["rl.trainer=easyr1", *overrides])
    stage = make_plan(recipe, Path("/runs")).stage("rl")
    (config,) = (text for path, text in stage.files.items() if path.endswith("train.json"))
    launch = LaunchConfig.model_validate_json(config)
    merged = OmegaConf.merge(
        OmegaConf.structured(PPOConfig()), OmegaConf.create(dict(launch.easyr1))
    )
    read: Any = OmegaConf.to_object(merged)
    read.deep_post_init()
    return recipe, launch, read


def test_the_papers_recipe_is_taken_whole() -> None:
    recipe, launch, read = render()
    rl, actor = recipe.rl, read.worker.actor
    assert EmaNormalizer(**launch.ema.model_dump()).beta == rl.ema.beta
    assert read.algorithm.adv_estimator == rl.advantage == "ema_grpo"
    assert (read.worker.rollout.n, read.data.rollout_batch_size) == (
        rl.group_size,
        rl.prompts_per_step,
    )
    assert (actor.use_kl_loss, actor.disable_kl) == (rl.kl.enabled, not rl.kl.enabled)
    assert (actor.kl_coef, actor.kl_penalty) == (rl.kl.kl_coef, rl.kl.kl_type)
    assert actor.global_batch_size == rl.minibatch_prompts
    assert read.worker.reward.reward_function_name == "compute_scores"
    assert read.worker.reward.reward_function_kwargs["format_weight"] == rl.reward.format_weight


def test_the_kl_switch_reaches_the_loss() -> None:
    *_, on = render("rl.kl.enabled=true", "rl.kl.kl_coef=0.25")
    assert not on.algorithm.disable_kl
    assert (on.worker.actor.use_kl_loss, on.worker.actor.kl_coef) == (True, 0.25)
    *_, off = render("rl.kl.enabled=false", "rl.kl.kl_coef=0")
    assert (off.algorithm.disable_kl, off.worker.actor.disable_kl) == (True, True)


def test_online_filtering_has_the_recipes_bounds() -> None:
    *_, read = render("rl.filter.enabled=true", "rl.filter.low=0.2", "rl.filter.max_refills=7")
    assert (read.algorithm.online_filtering, read.algorithm.filter_low) == (True, 0.2)
    assert read.trainer.max_try_make_batch == 7


def test_precision_is_that_of_the_policy_the_reference_and_the_optimizer() -> None:
    for kept, strategy in (("fp32", "adamw"), ("bf16", "adamw_bf16")):
        *_, read = render(f"rl.optimizer_precision={kept}")
        actor = read.worker.actor
        assert (actor.fsdp.torch_dtype, actor.optim.strategy) == (kept, strategy)
        assert actor.fsdp.mp_param_dtype == read.worker.ref.fsdp.mp_param_dtype == "bf16"
        assert read.worker.rollout.dtype == "bf16"


def test_vllm_has_room_for_the_longest_response_and_max_steps_decide() -> None:
    recipe, launch, read = render("rl.max_steps=700")
    rollout = read.worker.rollout
    assert (
        rollout.max_model_len is None
    )  # prompt_length + response_length (vllm_rollout_spmd.py:134)
    assert (
        rollout.prompt_length + rollout.response_length == rollout.max_num_batched_tokens == 20480
    )
    assert read.trainer.max_steps == 700  # before total_epochs (ray_trainer.py:239)
    assert launch.system == recipe.prompt.system
