"""Recipe -> stock LLaMA-Factory 0.9.5: the YAML of `llamafactory-cli train`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.plan import extra, loggers
from orchestrator.plan.context import ALL_FRAMES, PREPARED, Context, module, parser
from orchestrator.plan.stage import Command, Layout, Progress, Stage
from orchestrator.plan.values import OUT, Output, RunTime
from orchestrator.recipe import Recipe
from orchestrator.recipe.stages import SftStage

LAYOUT = Layout("checkpoint-", "trainer_state.json", "*")
PROGRESS = Progress(
    path=OUT / "checkpoints/trainer_log.jsonl",
    step="current_steps",
    total="total_steps",
    metric="loss",
)
RESUME = "model_name_or_path={checkpoint}"
"""The trainer resumes by `load_state_dict(strict=False)` (transformers 5.6.0, trainer.py:3378), but
a Qwen2.5-VL is saved under other names than it has in memory: not one tensor is loaded, and nothing
is said. So the model is built from the checkpoint, which converts the names."""
ENVIRON = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "LLAMAFACTORY_VERBOSITY": "WARN",
    "TRANSFORMERS_VERBOSITY": "warning",
}


def sft(context: Context, name: str, spec: SftStage) -> Stage:
    """Check the config, export the traces in LLaMA-Factory's format, then train on them."""
    recipe = context.recipe.at(name)
    files: dict[str, Any] = {
        "prepare.json": context.prepare(
            "llamafactory", "sft", spec.questions, spec.frames, recipe.prompt
        ),
        "train.yaml": train_config(recipe, context.policy(spec.start)),
    }
    if spec.zero_stage is not None:
        files["deepspeed.json"] = deepspeed_config(recipe)
    environment = context.environment("sft", "deepspeed" if spec.zero_stage else "")
    train = Command(
        environment,
        ("-m", "reward_plugins.llamafactory_plugin.launch", "train", OUT / "train.yaml"),
        {**ENVIRON, **loggers.environ(recipe), **_torchrun(recipe), **_no_accelerator(recipe)},
        replace(PROGRESS, whole="early_stopping_steps" not in spec.extra),
        nodes=recipe.cluster.nodes,
        resume=RESUME,
    )
    return context.add(
        name,
        (
            parser(environment, "parse_llamafactory", "train.yaml"),
            module("orchestrator", "data_builders.prepare", "prepare.json"),
            train,
            Command("orchestrator", ("-m", "orchestrator.run.sft_outputs", OUT)),
        ),
        files,
        (*PREPARED, "reward_plugins/imports.py", "reward_plugins/llamafactory_plugin"),
        replace(context.resources(context.node_gpus), nodes=recipe.cluster.nodes),
        layout=replace(LAYOUT, ranks=recipe.devices),
    )


def _torchrun(recipe: Recipe) -> dict[str, str]:
    """What LLaMA-Factory's launcher hands to torchrun, which DeepSpeed needs for one device too.

    The launch adds each node's rank and the first one's address (0.9.5, launcher.py:60-69).
    """
    if recipe.devices == 1 and recipe.sft.zero_stage is None:
        return {}
    counts = {"NNODES": recipe.cluster.nodes, "NPROC_PER_NODE": recipe.cluster.gpus_per_node}
    return {"FORCE_TORCHRUN": "1", **{name: str(count) for name, count in counts.items()}}


def _no_accelerator(recipe: Recipe) -> dict[str, str]:
    """DeepSpeed looks for an accelerator unless told that there is none."""
    without = recipe.cluster.device == "cpu" and recipe.sft.zero_stage is not None
    return {"DS_ACCELERATOR": "cpu"} if without else {}


def train_config(recipe: Recipe, start: Output) -> dict[str, Any]:
    """Every key given to LLaMA-Factory (its `hparams/*.py` name them)."""
    config = {
        **_model(recipe, start),
        **_data(recipe),
        **_logging(recipe),
        **_optimisation(recipe),
        **_saving(recipe.sft.save_every),
    }
    config = extra.merged(config, recipe.sft.extra, "sft.extra")
    return {key: value for key, value in config.items() if value not in (None, RunTime(None))}


def _model(recipe: Recipe, start: Output) -> dict[str, Any]:
    sft = recipe.sft
    return {
        "model_name_or_path": start,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "freeze_vision_tower": sft.freeze_vision_tower,
        "freeze_multi_modal_projector": sft.freeze_projector,
        "freeze_language_model": sft.freeze_language_model,
    }


def _data(recipe: Recipe) -> dict[str, Any]:
    sft, spec = recipe.sft, recipe.sft.frames or recipe.frames
    still = spec.of("image")
    return {
        "dataset": "sft",
        "dataset_dir": OUT / "data",
        "template": sft.template,
        "default_system": (sft.prompt or recipe.prompt).system,
        "cutoff_len": sft.max_length,
        "max_samples": sft.max_samples,
        "video_fps": ALL_FRAMES,
        "video_maxlen": ALL_FRAMES,
        "video_max_pixels": spec.max_pixels,
        "video_min_pixels": spec.min_pixels,
        "image_max_pixels": max(still.max_pixels, spec.max_pixels),  # a frame may be an image
        "image_min_pixels": min(still.min_pixels, spec.min_pixels),
        "preprocessing_num_workers": RunTime(recipe.data.workers),
        "dataloader_num_workers": RunTime(sft.loader_workers),
    }


def _logging(recipe: Recipe) -> dict[str, Any]:
    sft = recipe.sft
    return {
        "output_dir": OUT / "checkpoints",
        "logging_steps": RunTime(sft.log_every),
        "save_total_limit": RunTime(sft.keep_last),
        "report_to": RunTime(list(recipe.loggers) or "none"),
        **loggers.run_name(recipe, "project", "run_name"),
        "disable_tqdm": True,  # its rows come through trainer_log.jsonl
    }


def _optimisation(recipe: Recipe) -> dict[str, Any]:
    sft = recipe.sft
    return {
        "per_device_train_batch_size": sft.batch_size_per_device,
        "gradient_accumulation_steps": sft.gradient_accumulation,
        "learning_rate": sft.learning_rate,
        "lr_scheduler_type": sft.scheduler,
        "warmup_ratio": sft.warmup_ratio,
        "weight_decay": sft.weight_decay,
        "adam_beta2": sft.adam_beta2,
        "max_grad_norm": sft.max_grad_norm,
        "num_train_epochs": sft.epochs,
        "max_steps": sft.max_steps,
        "bf16": sft.precision == "bf16",
        "disable_gradient_checkpointing": not sft.gradient_checkpointing,
        # With it transformers leaves DeepSpeed out (5.6.0, training_args.py).
        "use_cpu": recipe.cluster.device == "cpu" and sft.zero_stage is None,
        "deepspeed": None if sft.zero_stage is None else OUT / "deepspeed.json",
        "seed": recipe.seed,
    }


def deepspeed_config(recipe: Recipe) -> dict[str, Any]:
    """ZeRO with every size left to the Hugging Face trainer (paper Table 5: stage 3)."""
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": "auto"},
        "zero_optimization": {
            "stage": recipe.sft.zero_stage,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "reduce_bucket_size": "auto",
            "stage3_prefetch_bucket_size": "auto",
            "stage3_param_persistence_threshold": "auto",
            "stage3_gather_16bit_weights_on_model_save": True,
        },
    }


def _saving(save_every: int | str) -> dict[str, Any]:
    if save_every == "epoch":
        return {"save_strategy": RunTime("epoch")}
    return {"save_strategy": RunTime("steps"), "save_steps": RunTime(save_every)}
