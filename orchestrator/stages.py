"""Drafts of the stages that are ours: data, model, merge, evaluation and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_builders.specs import FrameSpec, PromptSpec
from orchestrator.recipe import Recipe
from orchestrator.stage import OUT, ROOT, Command, Draft, Progress, Resources


def data(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Clips and questions of every source, as Parquet."""
    config = {
        "sources": recipe.data.sources,
        "synthetic": recipe.data.synthetic and recipe.data.synthetic.model_dump(mode="json"),
        "workers": recipe.data.workers,
        "out": str(OUT),
    }
    return Draft(
        name="data",
        commands=(module("orchestrator", "data_builders.build", "data.json"),),
        files={str(OUT / "data.json"): to_json(config)},
        resources=Resources(recipe.cluster.cpus_per_stage, pin=recipe.cluster.pin),
        sources=(
            "data_builders/build.py",
            "data_builders/synthetic",
            "data_builders/camerabench.py",
        ),
    )


def model(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """The base checkpoint: built small and random, or fetched from the Hub."""
    if recipe.model.build is not None:
        config: dict[str, Any] = {
            "model": recipe.model.build.model_dump(mode="json"),
            "prompt": recipe.prompt.model_dump(mode="json"),
            "frames": recipe.frames.model_dump(mode="json"),
            "samples": str(done["data"] / "sft.parquet"),
            "out": str(OUT / "checkpoint"),
        }
        command = module(environment(recipe, "sft"), "data_builders.tiny_model", "model.json")
        source = "data_builders/tiny_model.py"
    else:
        config = {"path": str(recipe.model.path), "out": str(OUT / "checkpoint")}
        command = module("orchestrator", "data_builders.hub", "model.json")
        source = "data_builders/hub.py"
    return Draft(
        name="model",
        commands=(command,),
        files={str(OUT / "model.json"): to_json(config)},
        resources=Resources(recipe.cluster.cpus_per_stage, pin=recipe.cluster.pin),
        sources=(source,),
        needs=(done["data"],),
    )


def merge(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Sharded RL checkpoint to one Hugging Face checkpoint."""
    config = {
        "source": str(done["rl"] / "checkpoints"),
        "target": str(OUT / "checkpoint"),
        "dtype": {"bf16": "bfloat16", "fp32": "float32"}[recipe.merge.dtype],
    }
    plugin = {"verl": "verl_plugin", "easyr1": "easyr1_plugin"}[recipe.rl.trainer]
    command = module(
        environment(recipe, rl_environment(recipe)), f"reward_plugins.{plugin}.merge", "merge.json"
    )
    return Draft(
        name="merge",
        commands=(command,),
        files={str(OUT / "merge.json"): to_json(config)},
        resources=Resources(recipe.cluster.cpus_per_stage, pin=recipe.cluster.pin),
        sources=(f"reward_plugins/{plugin}",),
        needs=(done["rl"] / "checkpoints",),
    )


def prepare_config(
    recipe: Recipe,
    done: dict[str, Path],
    form: str,
    spec: FrameSpec | None,
    *uses: str,
    prompt: PromptSpec | None = None,
) -> str:
    """The config of `data_builders.prepare`: frames and questions of a stage, in its own form."""
    return to_json(
        {
            "format": form,
            "samples": {use: str(done["data"] / f"{use}.parquet") for use in uses},
            "clips": str(done["data"]),
            "frames": frames(recipe, spec),
            "prompt": (prompt or recipe.prompt).model_dump(mode="json"),
            "cache": str(ROOT / recipe.data.cache_dir),
            "workers": recipe.data.workers,
            "max_quarantined": recipe.data.max_quarantined,
            "out": str(OUT / "data"),
        }
    )


def evaluation(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Answers of every checkpoint to the held-out questions, and their scores."""
    checkpoints = {
        "base": done["model"] / "checkpoint",
        "sft": done["sft"] / selected_checkpoint(recipe),
        "rl": done["merge"] / "checkpoint",
    }
    chosen = {name: checkpoints[name] for name in recipe.eval.checkpoints}
    config = {
        "checkpoints": {name: str(path) for name, path in chosen.items()},
        "samples": str(done["data"] / "test.parquet"),
        "clips": str(done["data"]),
        "cache": str(ROOT / recipe.data.cache_dir),
        "frames": frames(recipe, recipe.eval.frames),
        "prompt": recipe.prompt.model_dump(mode="json"),
        "engine": recipe.eval.engine,
        "batch_size": recipe.eval.batch_size,
        "max_new_tokens": recipe.eval.max_new_tokens,
        "swap_control": recipe.eval.swap_control,
        "max_questions": recipe.eval.max_questions,
        "matching": recipe.rl.reward.matching,
        "seed": recipe.seed,
        "workers": recipe.data.workers,
        "max_quarantined": recipe.data.max_quarantined,
        "out": str(OUT),
    }
    return Draft(
        name="eval",
        commands=(
            module("orchestrator", "orchestrator.evaluation.prepare", "eval.json"),
            module(environment(recipe, "eval"), "orchestrator.evaluation", "eval.json"),
            module("orchestrator", "orchestrator.evaluation.score", "eval.json"),
        ),
        files={str(OUT / "eval.json"): to_json(config)},
        resources=Resources(
            recipe.cluster.cpus_per_stage, gpus_of_one_node(recipe), recipe.cluster.pin
        ),
        sources=("orchestrator/evaluation", "data_builders/frames.py", "reward_plugins/ota.py"),
        needs=tuple(chosen.values()),
    )


def report(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """The page with the table, the curves and a few clips."""
    unused = set() if "rl" in recipe.eval.checkpoints else {"rl", "merge"}
    config = {
        "recipe": recipe.model_dump(mode="json"),
        "stages": {name: str(path) for name, path in done.items() if name not in unused},
        "out": str(OUT),
    }
    return Draft(
        name="report",
        commands=(module("orchestrator", "orchestrator.report", "report.json"),),
        files={str(OUT / "report.json"): to_json(config)},
        resources=Resources(1, pin=recipe.cluster.pin),
        sources=("orchestrator/report",),
        needs=(done["eval"],),
    )


def module(environment: str, name: str, config: str, **environ: str) -> Command:
    """`python -m name OUT/config` in an environment; it reports to `OUT/progress.jsonl`."""
    progress = Progress(str(OUT / "progress.jsonl"), step="done", total="total")
    return Command(environment, ("-m", name, str(OUT / config)), environ, progress)


def environment(recipe: Recipe, name: str) -> str:
    """The lock a stage installs from: a GPU node needs more than a laptop."""
    has_gpu_lock = (ROOT / "envs" / f"{name}-gpu.txt").is_file()
    return f"{name}-gpu" if recipe.cluster.device == "cuda" and has_gpu_lock else name


def rl_environment(recipe: Recipe) -> str:
    """EasyR1's package is also called `verl`, so each back end has an environment of its own."""
    return "rl" if recipe.rl.trainer == "verl" else "easyr1"


def gpus_of_one_node(recipe: Recipe) -> int:
    """GPUs a stage on one node reserves; none on a CPU."""
    return recipe.cluster.gpus_per_node if recipe.cluster.device == "cuda" else 0


def frames(recipe: Recipe, override: FrameSpec | None) -> dict[str, Any]:
    """The stage's own frame rule, or the recipe's."""
    return (override or recipe.frames).model_dump(mode="json")


def selected_checkpoint(recipe: Recipe) -> str:
    """Where the SFT stage leaves the checkpoint that RL starts from: `last`, `epoch-2`, ..."""
    return recipe.rl.sft_checkpoint.replace(":", "-")


def starting_policy(recipe: Recipe, done: dict[str, Path]) -> Path:
    """The checkpoint that RL starts from."""
    if recipe.rl.start == "base":
        return done["model"] / "checkpoint"
    return done["sft"] / selected_checkpoint(recipe)


def to_json(config: object) -> str:
    """The text of a config file."""
    return json.dumps(config, indent=2, sort_keys=True) + "\n"
