"""Recipe -> stock LLaMA-Factory 0.9.5: the YAML of `llamafactory-cli train`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import StageError
from orchestrator.plan import drafts, extra, loggers, stages
from orchestrator.plan.stage import OUT, Command, Draft, Progress, Resources, Stage
from orchestrator.recipe import Recipe
from orchestrator.run import history
from reward_plugins.files import replacement, write_file

ENVIRON = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "LLAMAFACTORY_VERBOSITY": "WARN",
    "TRANSFORMERS_VERBOSITY": "warning",
}


def sft(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Check the config, export the traces in LLaMA-Factory's format, then train on them."""
    written = OUT / "train.yaml"
    files = {
        str(OUT / "prepare.json"): stages.prepare_config(
            recipe, done, "llamafactory", recipe.sft.frames, "sft", prompt=recipe.sft.prompt
        ),
        str(written): yaml.safe_dump(train_config(recipe, done), sort_keys=False),
    }
    if recipe.sft.zero_stage is not None:
        files[str(OUT / "deepspeed.json")] = stages.to_json(deepspeed_config(recipe))
    train = Command(
        stages.environment(recipe, "sft"),
        ("-m", "reward_plugins.llamafactory_plugin.launch", "train", str(written)),
        {**ENVIRON, **loggers.environ(recipe.loggers), **_torchrun(recipe)},
        Progress(
            path=str(OUT / "checkpoints" / "trainer_log.jsonl"),
            step="current_steps",
            total="total_steps",
            metric="loss",
            whole="early_stopping_steps" not in recipe.sft.extra,
        ),
        nodes=recipe.cluster.nodes,
    )
    return Draft(
        name="sft",
        commands=drafts.commands(train, "parse_llamafactory", written),
        files=files,
        resources=Resources(
            recipe.cluster.cpus_per_stage,
            stages.gpus_of_one_node(recipe),
            recipe.cluster.pin,
            recipe.cluster.nodes,
        ),
        sources=(*stages.GIVEN, "reward_plugins/llamafactory_plugin"),
        needs=(done["data"] / "sft.parquet", done["model"] / "checkpoint"),
    )


def _torchrun(recipe: Recipe) -> dict[str, str]:
    """What LLaMA-Factory's launcher hands to torchrun, which DeepSpeed needs for one device too.

    The launch adds each node's rank and the first one's address (0.9.5, launcher.py:60-69).
    """
    if recipe.devices == 1 and recipe.sft.zero_stage is None:
        return {}
    counts = {"NNODES": recipe.cluster.nodes, "NPROC_PER_NODE": recipe.cluster.gpus_per_node}
    return {"FORCE_TORCHRUN": "1", **{name: str(count) for name, count in counts.items()}}


def train_config(recipe: Recipe, done: dict[str, Path]) -> dict[str, Any]:
    """Every key given to LLaMA-Factory (its `hparams/*.py` name them)."""
    config = {
        **_model(recipe, done),
        **_data(recipe),
        **_logging(recipe),
        **_optimisation(recipe),
        **_saving(recipe.sft.save_every),
    }
    config = extra.merged(config, recipe.sft.extra, "sft.extra")
    return {key: value for key, value in config.items() if value is not None}


def _model(recipe: Recipe, done: dict[str, Path]) -> dict[str, Any]:
    sft = recipe.sft
    return {
        "model_name_or_path": str(done["model"] / "checkpoint"),
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
        "dataset_dir": str(OUT / "data"),
        "template": sft.template,
        "default_system": (sft.prompt or recipe.prompt).system,
        "cutoff_len": sft.max_length,
        "max_samples": sft.max_samples,
        "video_fps": stages.ALL_FRAMES,
        "video_maxlen": stages.ALL_FRAMES,
        "video_max_pixels": spec.max_pixels,
        "video_min_pixels": spec.min_pixels,
        "image_max_pixels": max(still.max_pixels, spec.max_pixels),  # a frame may be an image
        "image_min_pixels": min(still.min_pixels, spec.min_pixels),
        "preprocessing_num_workers": recipe.data.workers,
        "dataloader_num_workers": sft.loader_workers,
    }


def _logging(recipe: Recipe) -> dict[str, Any]:
    sft = recipe.sft
    return {
        "output_dir": str(OUT / "checkpoints"),
        "logging_steps": sft.log_every,
        "save_total_limit": sft.keep_last,
        "report_to": list(recipe.loggers) or "none",
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
        "use_cpu": recipe.cluster.device == "cpu",
        "deepspeed": None if sft.zero_stage is None else str(OUT / "deepspeed.json"),
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


def resumed(stage: Stage, checkpoint: Path) -> Stage:
    """The stage with its training to go on from `checkpoint`, weights included.

    The trainer resumes by `load_state_dict(strict=False)` (transformers 5.6.0, trainer.py:3378),
    but a Qwen2.5-VL is saved under other names than it has in memory: not one tensor is loaded, and
    nothing is said. So the model is built from the checkpoint, which converts the names.
    """
    *before, train = stage.commands
    weights = f"model_name_or_path={checkpoint}"
    return replace(stage, commands=(*before, replace(train, argv=(*train.argv, weights))))


def finish(directory: Path) -> None:
    """Give a finished SFT stage names for its checkpoints, and its metrics in the common form."""
    name_checkpoints(directory)
    rows = history.sft(directory / "checkpoints")
    write_file(directory / history.FILE, history.to_text(rows))


def name_checkpoints(directory: Path) -> list[str]:
    """Link `last`, `step-N` and `epoch-N` in a finished SFT stage to its checkpoints.

    The step at which an epoch ends is known only once the trainer has counted the samples.
    Raises `StageError` when the trainer left no checkpoint.
    """
    names: dict[str, Path] = {}
    checkpoints = sorted((directory / "checkpoints").glob("checkpoint-*"), key=_step)
    if not checkpoints:
        raise StageError(f"{directory}: LLaMA-Factory ended without a checkpoint; see its log")
    for path in checkpoints:
        state = json.loads((path / "trainer_state.json").read_text())
        names[f"step-{_step(path)}"] = path
        if float(state["epoch"]).is_integer():
            names[f"epoch-{int(state['epoch'])}"] = path
        names["last"] = path
    for name, path in names.items():
        with replacement(directory / name) as link:
            link.symlink_to(path.relative_to(directory))
    return sorted(names)


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _saving(save_every: int | str) -> dict[str, Any]:
    if save_every == "epoch":
        return {"save_strategy": "epoch"}
    return {"save_strategy": "steps", "save_steps": save_every}
