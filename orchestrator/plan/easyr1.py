"""Recipe -> stock EasyR1 (v0.3.2, main b44b311): the configuration of its `verl.trainer.main`."""

from __future__ import annotations

from typing import Any

from orchestrator.plan import loggers, own_reward
from orchestrator.plan.context import ALL_FRAMES
from orchestrator.plan.extra import merged
from orchestrator.plan.stage import Layout
from orchestrator.plan.values import OUT, Joined, Output, ProjectFile, RunTime
from orchestrator.recipe import Recipe

ENTRY, SCORE = "launch", "reward/overall"
"""Module of the plugin that reads the config, and the key of the mean reward in its metrics."""
LAYOUT = Layout("global_step_", "dataloader.pt", "actor/model_*.pt", "checkpoint_tracker.json")
LOSS_AGGREGATION = {
    "token-mean": "token",
    "seq-mean-token-mean": "seq",
    "seq-mean-token-sum": "seq",
}


def train_config(recipe: Recipe, start: Output) -> dict[str, Any]:
    """What `reward_plugins.easyr1_plugin.launch` reads."""
    rl = recipe.rl
    config: dict[str, Any] = {
        "data": _data(recipe),
        "algorithm": _algorithm(recipe),
        "worker": {
            "actor": _actor(recipe, start),
            "ref": {"fsdp": dict.fromkeys(("torch_dtype", "mp_param_dtype"), recipe.rl.precision)},
            "rollout": _rollout(recipe),
            "reward": _reward(recipe),
        },
        "trainer": _trainer(recipe),
    }
    return {
        "easyr1": merged(config, recipe.rl.extra, "rl.extra"),
        "ema": {**recipe.rl.ema.model_dump(), "key": own_reward.ema_key(recipe)},
        "system": recipe.prompt.system,
        "keep": RunTime(
            {"last": rl.keep_last, "every": rl.keep_every and rl.keep_every * rl.save_every}
        ),
        "env": loggers.environ(recipe),
    }


def _data(recipe: Recipe) -> dict[str, Any]:
    spec = recipe.rl.frames or recipe.frames
    questions, still = OUT / "data/rl.json", spec.of("image")
    return {
        "train_files": questions,
        "val_files": OUT / "data/rl_held_out.json" if recipe.rl.validation else questions,
        "prompt_key": "problem",
        "answer_key": "answer",
        "video_key": "videos",
        "video_fps": ALL_FRAMES,
        "min_pixels": min(spec.min_pixels, still.min_pixels),  # it has one pair for both
        "max_pixels": max(spec.max_pixels, still.max_pixels),
        "max_prompt_length": recipe.rl.max_prompt_length,
        "max_response_length": recipe.rl.max_response_length,
        "rollout_batch_size": recipe.rl.prompts_per_step,
        "val_batch_size": recipe.rl.prompts_per_step,
        "shuffle": True,
        "seed": recipe.seed,
        "filter_overlong_prompts": False,
    }


def _algorithm(recipe: Recipe) -> dict[str, Any]:
    rl = recipe.rl
    return {
        "adv_estimator": rl.advantage,
        # Both are needed: with disable_kl the coefficient is silently unused.
        "disable_kl": not rl.kl.enabled,
        "use_kl_loss": rl.kl.enabled,
        "kl_penalty": rl.kl.kl_type,
        "kl_coef": rl.kl.kl_coef,
        "online_filtering": rl.filter.enabled,
        "filter_key": {"accuracy": "accuracy", "score": "overall"}[rl.filter.metric],
        "filter_low": rl.filter.low,
        "filter_high": rl.filter.high,
    }


def _actor(recipe: Recipe, start: Output) -> dict[str, Any]:
    rl = recipe.rl
    return {
        "global_batch_size": rl.minibatch_prompts,
        "micro_batch_size_per_device_for_update": rl.microbatch_responses,
        "micro_batch_size_per_device_for_experience": rl.logprob_microbatch_responses,
        "max_grad_norm": rl.max_grad_norm,
        "clip_ratio_low": rl.clip_low,
        "clip_ratio_high": rl.clip_high,
        "clip_ratio_dual": rl.clip_dual,
        "loss_type": {"ppo": "default", "gspo": "gspo"}[rl.loss],
        "loss_avg_mode": LOSS_AGGREGATION[rl.loss_aggregation],
        "padding_free": rl.padding_free,
        "dynamic_batching": rl.dynamic_batching,
        "model": {
            "model_path": start,
            "enable_gradient_checkpointing": rl.gradient_checkpointing,
            "trust_remote_code": False,
            "freeze_vision_tower": rl.freeze_vision_tower,
        },
        "optim": {
            "lr": rl.learning_rate,
            "betas": list(rl.betas),
            "weight_decay": rl.weight_decay,
            "lr_warmup_ratio": rl.warmup_ratio,
            "lr_scheduler_type": rl.scheduler,
            "strategy": "adamw_bf16" if rl.optimizer_precision == "bf16" else "adamw",
        },
        "fsdp": {"torch_dtype": rl.optimizer_precision, "mp_param_dtype": rl.precision},
    }


def _rollout(recipe: Recipe) -> dict[str, Any]:
    rl = recipe.rl
    return {
        "n": rl.group_size,
        "temperature": rl.rollout.temperature,
        "top_p": rl.rollout.top_p,
        "seed": recipe.seed,
        "dtype": rl.precision,
        "gpu_memory_utilization": rl.rollout.gpu_memory_utilization,
        "tensor_parallel_size": rl.rollout.tensor_parallel,
        "max_num_batched_tokens": rl.rollout.max_batched_tokens,
        "val_override_config": {"n": 1, "temperature": 0.0},
    }


def _reward(recipe: Recipe) -> dict[str, Any]:
    file = "reward_plugins/terms.py" if recipe.rl.reward.terms else "reward_plugins/reward.py"
    return {
        "reward_function": Joined((ProjectFile(file), ":compute_scores")),
        "reward_function_kwargs": own_reward.trainer_arguments(recipe),
    }


def _trainer(recipe: Recipe) -> dict[str, Any]:
    rl = recipe.rl
    return {
        "total_epochs": rl.epochs,
        "max_steps": rl.max_steps,
        **loggers.run_name(recipe, "project_name", "experiment_name"),
        "logger": RunTime(["file", "console", *recipe.loggers]),
        "nnodes": recipe.cluster.nodes,
        "n_gpus_per_node": recipe.cluster.gpus_per_node,
        "max_try_make_batch": rl.filter.max_refills,
        "val_freq": rl.validation.every if rl.validation else -1,
        "val_before_train": False,
        "save_freq": RunTime(rl.save_every),
        "save_limit": -1,  # `keep` says what stays
        "save_checkpoint_path": OUT / "checkpoints",
        "find_last_checkpoint": True,
    }
