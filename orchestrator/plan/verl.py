"""Recipe -> stock verl 0.9.1: the Hydra overrides of `verl.trainer.main_ppo`.

A key that verl's own config lacks starts with `+`; all others must exist there, so verl itself
rejects one that a new version renames.
"""

from __future__ import annotations

from typing import Any

from orchestrator.plan import loggers, own_reward
from orchestrator.plan.context import VLLM_ON_CPU
from orchestrator.plan.extra import flat, merged
from orchestrator.plan.stage import Layout
from orchestrator.plan.values import OUT, Output, RunTime
from orchestrator.recipe import Recipe

PLUGIN = "reward_plugins.verl_plugin"
ENTRY, SCORE = "train", "critic/score/mean"
"""Module of the plugin that reads the config, and the key of the mean reward in its metrics."""
LAYOUT = Layout("global_step_", "data.pt", "actor/model_*.pt", "latest_checkpointed_iteration.txt")
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
REF, MODEL = "actor_rollout_ref.ref", "actor_rollout_ref.model"


def train_config(recipe: Recipe, start: Output) -> dict[str, Any]:
    """What `reward_plugins.verl_plugin.train` reads: verl's overrides and its environment."""
    return {
        "overrides": overrides(recipe, start),
        "env": environ(recipe),
        "fork": recipe.cluster.device == "cpu",
    }


def environ(recipe: Recipe) -> dict[str, Any]:
    """What all of verl's processes read from the environment."""
    shared = {
        "VERL_USE_EXTERNAL_PLUGINS": "none",
        "VERL_FILE_LOGGER_PATH": OUT / "metrics.jsonl",
        "VERL_LOGGING_LEVEL": "WARNING",
        **loggers.environ(recipe),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if recipe.rl.freeze_vision_tower:
        shared["CAMREASONER_FREEZE_VISION"] = "1"
    if recipe.cluster.device == "cpu":
        shared |= {"VERL_PLATFORM": "cpu", "OMP_NUM_THREADS": "1", "TQ_NUM_THREADS": "1"}
    if recipe.cluster.device == "cpu" and recipe.rl.rollout.engine == "vllm":
        # Even an eager engine compiles small functions, for a minute.
        shared |= {**VLLM_ON_CPU, "TORCHDYNAMO_DISABLE": "1"}
    return shared


def overrides(recipe: Recipe, start: Output) -> dict[str, Any]:
    """Every key given to verl, those of `rl.extra` last."""
    ours = {
        **_data(recipe),
        **_policy(recipe, start),
        **_optimisation(recipe),
        **_sampling(recipe),
        **_algorithm(recipe),
        **_reward(recipe),
        **_trainer(recipe),
        **(_vllm(recipe) if recipe.rl.rollout.engine == "vllm" else {}),
        **(_cpu(recipe) if recipe.cluster.device == "cpu" else {}),
    }
    added = {key.removeprefix("+"): key for key in ours}
    given = {added.get(key.removeprefix("+"), key): v for key, v in flat(recipe.rl.extra).items()}
    return merged(ours, given, "rl.extra")


def _data(recipe: Recipe) -> dict[str, Any]:
    questions = OUT / "data/rl.parquet"
    return {
        "data.train_files": questions,
        "data.val_files": OUT / "data/rl_held_out.parquet" if recipe.rl.validation else questions,
        "data.custom_cls.path": f"pkg://{PLUGIN}.dataset",
        "data.custom_cls.name": "FramesDataset",
        "+data.mm_processor_kwargs.do_resize": False,
        "data.train_batch_size": recipe.rl.prompts_per_step,
        "data.max_prompt_length": recipe.rl.max_prompt_length,
        "data.max_response_length": recipe.rl.max_response_length,
        "data.filter_overlong_prompts": False,
        "data.shuffle": True,
        "data.seed": recipe.seed,
    }


def _policy(recipe: Recipe, start: Output) -> dict[str, Any]:
    return {
        f"{MODEL}.path": start,
        f"{MODEL}.use_remove_padding": recipe.rl.padding_free,
        f"{MODEL}.enable_gradient_checkpointing": recipe.rl.gradient_checkpointing,
        **_precision(recipe),
    }


def _precision(recipe: Recipe) -> dict[str, Any]:
    """FSDP computes in `mixed_precision.param_dtype`, bf16 if not told, and keeps weights in
    `model_dtype`; `fsdp_config.dtype` is Megatron's (workers/engine/fsdp/transformer_impl.py:391).
    """
    rl = recipe.rl
    keys: dict[str, Any] = {
        f"{ROLLOUT}.dtype": {"bf16": "bfloat16", "fp32": "float32"}[rl.precision]
    }
    for part in (ACTOR, REF):
        keys[f"+{part}.fsdp_config.mixed_precision.param_dtype"] = rl.precision
        keys[f"{part}.fsdp_config.model_dtype"] = rl.optimizer_precision
    if rl.precision == "fp32" or recipe.cluster.device == "cpu":  # no flash-attention there
        keys[f"+{MODEL}.override_config.attn_implementation"] = "sdpa"
    return keys


def _optimisation(recipe: Recipe) -> dict[str, Any]:
    rl = recipe.rl
    return {
        f"{ACTOR}.strategy": "fsdp2",
        f"{ACTOR}.fsdp_config.strategy": "fsdp2",
        f"{ACTOR}.ppo_mini_batch_size": rl.minibatch_prompts,
        f"{ACTOR}.ppo_micro_batch_size_per_gpu": rl.microbatch_responses,
        f"{ACTOR}.use_dynamic_bsz": rl.dynamic_batching,
        f"{ACTOR}.ppo_max_token_len_per_gpu": rl.max_tokens_per_device,
        f"{ACTOR}.optim.lr": rl.learning_rate,
        f"{ACTOR}.optim.betas": list(rl.betas),
        f"{ACTOR}.optim.weight_decay": rl.weight_decay,
        f"{ACTOR}.optim.lr_warmup_steps_ratio": rl.warmup_ratio,
        f"{ACTOR}.optim.lr_scheduler_type": rl.scheduler,
        f"{ACTOR}.grad_clip": rl.max_grad_norm,
        f"{ACTOR}.optim.clip_grad": rl.max_grad_norm,
        f"{ACTOR}.clip_ratio_low": rl.clip_low,
        f"{ACTOR}.clip_ratio_high": rl.clip_high,
        f"{ACTOR}.clip_ratio_c": rl.clip_dual,
        f"{ACTOR}.policy_loss.loss_mode": {"ppo": "vanilla", "gspo": "gspo"}[rl.loss],
        f"{ACTOR}.loss_agg_mode": rl.loss_aggregation,
        f"{ACTOR}.use_kl_loss": rl.kl.enabled,
        f"{ACTOR}.kl_loss_coef": rl.kl.kl_coef,
        f"{ACTOR}.kl_loss_type": rl.kl.kl_type,
        f"{REF}.strategy": "fsdp2",
        f"{REF}.fsdp_config.strategy": "fsdp2",
        f"{REF}.log_prob_micro_batch_size_per_gpu": rl.logprob_microbatch_responses,
    }


def _sampling(recipe: Recipe) -> dict[str, Any]:
    rl = recipe.rl
    return {
        f"{ROLLOUT}.name": {"vllm": "vllm", "hf": "hf_cpu"}[rl.rollout.engine],
        f"{ROLLOUT}.n": rl.group_size,
        f"{ROLLOUT}.temperature": rl.rollout.temperature,
        f"{ROLLOUT}.top_p": rl.rollout.top_p,
        f"+{ROLLOUT}.repetition_penalty": rl.rollout.repetition_penalty,
        f"{ROLLOUT}.tensor_model_parallel_size": rl.rollout.tensor_parallel,
        f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": rl.logprob_microbatch_responses,
        f"{ROLLOUT}.agent.default_agent_loop": "video_agent",
        f"+{ROLLOUT}.agent.agent_loop_manager_class": f"{PLUGIN}.groups.GroupManager",
        f"{ROLLOUT}.seed": recipe.seed,
    }


def _algorithm(recipe: Recipe) -> dict[str, Any]:
    rl = recipe.rl
    sampler = "trainer.v1.sampler"
    keys: dict[str, Any] = {
        "algorithm.adv_estimator": rl.advantage,
        "+algorithm.ema_beta": rl.ema.beta,
        "+algorithm.ema_statistic": rl.ema.statistic,
        "+algorithm.ema_min_std": rl.ema.min_std,
        "+algorithm.ema_guard": rl.ema.guard,
        "+algorithm.ema_key": own_reward.ema_key(recipe),
        f"{sampler}.sync_refill_failed_groups": True,
        f"{sampler}.custom_sampler.path": f"pkg://{PLUGIN}.filtering",
        f"{sampler}.custom_sampler.name": "GroupSampler",
        f"+{sampler}.sampler_kwargs.train_batch_size": rl.prompts_per_step,
    }
    if rl.filter.enabled:
        keys |= {
            f"+{sampler}.sampler_kwargs.metric": rl.filter.metric,
            f"+{sampler}.sampler_kwargs.low": rl.filter.low,
            f"+{sampler}.sampler_kwargs.high": rl.filter.high,
            f"+{sampler}.sampler_kwargs.max_generation_batches": rl.filter.max_refills,
        }
    return keys


def _reward(recipe: Recipe) -> dict[str, Any]:
    key = "reward.custom_reward_function"
    return {
        f"{key}.path": f"pkg://reward_plugins.{own_reward.module(recipe)}",
        f"{key}.name": "compute_score",
        **flat(own_reward.trainer_arguments(recipe), f"+{key}.reward_kwargs."),
    }


def _trainer(recipe: Recipe) -> dict[str, Any]:
    rl = recipe.rl
    return {
        "critic.enable": False,
        "trainer.device": recipe.cluster.device,
        "trainer.nnodes": recipe.cluster.nodes,
        "trainer.n_gpus_per_node": recipe.cluster.gpus_per_node,
        "trainer.v1.trainer_mode": "sync_ema",
        # verl stops at whichever comes first; an epoch has a step at the least.
        "trainer.total_epochs": rl.max_steps or rl.epochs,
        "trainer.total_training_steps": rl.max_steps,
        "trainer.save_freq": RunTime(rl.save_every),
        "+trainer.keep_last": RunTime(rl.keep_last),
        "+trainer.keep_every": RunTime(rl.keep_every and rl.keep_every * rl.save_every),
        "trainer.test_freq": rl.validation.every if rl.validation else -1,
        "trainer.val_before_train": False,
        "trainer.resume_mode": "auto",
        **loggers.run_name(recipe, "trainer.project_name", "trainer.experiment_name"),
        "trainer.logger": RunTime(["console", *recipe.loggers]),
        "trainer.default_local_dir": OUT / "checkpoints",
        "trainer.rollout_data_dir": OUT / "rollouts",
    }


def _cpu(recipe: Recipe) -> dict[str, Any]:
    """What verl needs to do without an accelerator; `verl_plugin/cpu` holds the rest."""
    no_accelerator = {
        f"{key}.use_torch_compile": False
        for key in (ACTOR, f"{ACTOR}.fsdp_config", REF, f"{REF}.fsdp_config")
    } | {f"{ROLLOUT}.free_cache_engine": False}
    own = _vllm_on_cpu() if recipe.rl.rollout.engine == "vllm" else _demo()
    return {**no_accelerator, **_laptop(), **own}


def _laptop() -> dict[str, Any]:
    """One worker of each kind: each holds half a GB.

    And with several callers of one actor Ray 2.60 died here (`Check failed: erased == 1`), maybe
    since they are forked from one process.
    """
    return {
        f"{ROLLOUT}.agent.num_workers": 1,
        "reward.num_workers": 1,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
        "data.dataloader_num_workers": 0,
    }


def _vllm_on_cpu() -> dict[str, Any]:
    """vLLM's CPU build has no graphs and no sleep, and would encode its largest videos to learn
    what memory they take.
    """
    return {
        f"{ROLLOUT}.enforce_eager": True,
        f"+{ROLLOUT}.enable_sleep_mode": False,
        f"+{ROLLOUT}.engine_kwargs.vllm.skip_mm_profiling": True,
    }


def _demo() -> dict[str, Any]:
    """Of the rollout by Hugging Face generate: it reads weights itself, and its steps are so short
    that verl's polls would be most of their time.
    """
    return {
        f"{ROLLOUT}.load_format": "auto",
        "+trainer.v1.sampler.sampler_kwargs.poll_interval": 0.05,
    }


def _vllm(recipe: Recipe) -> dict[str, Any]:
    rollout = recipe.rl.rollout
    return {
        f"{ROLLOUT}.gpu_memory_utilization": rollout.gpu_memory_utilization,
        f"{ROLLOUT}.max_num_batched_tokens": rollout.max_batched_tokens,
        # Else the model's own 128,000, to which verl also raises the tokens of a batch.
        f"{ROLLOUT}.max_model_len": recipe.rl.longest,
        f"{ROLLOUT}.enable_chunked_prefill": False,
    }
