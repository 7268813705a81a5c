"""Drafts of the stages that are ours: data, model, merge and report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from data_builders.source_specs import OWN_SOURCE
from data_builders.specs import FrameSpec, PromptSpec, Spec
from orchestrator import envs
from orchestrator.plan.stage import OUT, ROOT, Command, Draft, Progress, Resources
from orchestrator.recipe import Recipe
from orchestrator.recipe.own_code import own_function

_FETCHED = ("data_builders/sources.py", "data_builders/catalogue.py")
_ROWS = ("data_builders/rows.py", "data_builders/options.py", "data_builders/annotations.py")
_BUILDERS = {
    "synthetic": ("data_builders/synthetic",),
    "camerabench": (*_FETCHED, "data_builders/camerabench.py"),
    "shotqa": (*_FETCHED, *_ROWS, "data_builders/shotqa.py"),
    "folder": (*_ROWS, "data_builders/folder.py"),
    "files": (*_FETCHED, *_ROWS, "data_builders/motion.py"),
    "shotbench": (*_FETCHED, "data_builders/shotbench.py"),
    "shotbench_camera_movement": (*_FETCHED, "data_builders/shotbench.py"),
    "refineshot": (*_FETCHED, "data_builders/shotbench.py", "data_builders/refineshot.py"),
    "motionbench_camera": (*_FETCHED, *_ROWS, "data_builders/motionbench.py"),
    "trajectories": (
        "data_builders/teaching.py",
        "data_builders/trajectories.py",
        "data_builders/trajectory_writer.py",
        "data_builders/trajectory_filters.py",
        "data_builders/decoding.py",
    ),
}
"""What decides a source's samples: to change one source leaves the others' clips as they are."""
_LOCAL = ("rows", "train_annotations", "clips", "questions")
"""Keys of sources that may name files and folders of this machine."""

GRADING = (
    "reward_plugins/reward.py",
    "reward_plugins/ota.py",
    "reward_plugins/answers.py",
    "reward_plugins/grading.py",
    "reward_plugins/as_released.py",
)
"""What decides whether an answer is right, in training and in evaluation."""
REWARD = (*GRADING, "reward_plugins/ema_grpo.py")
"""What decides a reward and an advantage, whichever trainer asks."""
SEEN = (
    "data_builders/frames.py",
    "data_builders/frame_store.py",
    "data_builders/decoding.py",
    "data_builders/prompt.py",
    "reward_plugins/positions.py",
)
"""What decides the text and the frames that a model sees, and at what times."""
GIVEN = ("data_builders/prepare.py", "data_builders/export.py", *SEEN)
"""What decides what a trainer reads."""
ALL_FRAMES = 10_000
"""Frames a second, or frames: clips hold exactly those to use, no trainer is to sample them."""


def data(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Clips and questions of every source, as Parquet."""
    own = recipe.data
    described = {name: _located(getattr(own, name)) for name in ("camerabench", "folder")}
    files = {n: _located(spec) or {} for n, spec in (own.files or {}).items() if n in own.sources}
    copies = _own_sources(recipe)
    config = {
        "sources": [copies.get(name, name) for name in own.sources],
        "weights": own.weights and {copies.get(k, k): v for k, v in own.weights.items()},
        **described,
        "shotqa": own.shotqa and own.shotqa.model_dump(mode="json"),
        "files": files or None,
        "synthetic": own.synthetic and own.synthetic.model_dump(mode="json"),
        "teaching": _teaching(recipe),
        "tags": (recipe.sft.prompt or recipe.prompt).tags,
        "downloads": str(ROOT / own.download_dir),
        "max_quarantined": own.max_quarantined,
        "workers": own.workers,
        "seed": recipe.seed,
        "out": str(OUT),
    }
    used = {*own.sources, *(["trajectories"] if own.trajectories else [])}
    used |= {"files"} if files else set()
    builders = dict.fromkeys(f for name, own in _BUILDERS.items() if name in used for f in own)
    written = {copy.rpartition(":")[0]: own_function(n).source for n, copy in copies.items()}
    return Draft(
        name="data",
        commands=(*_serves(recipe), module("orchestrator", "data_builders.build", "data.json")),
        files={str(OUT / "data.json"): to_json(config), **written},
        resources=Resources(
            recipe.cluster.cpus_per_stage,
            gpus_of_one_node(recipe) if _serves(recipe) else 0,
            recipe.cluster.pin,
        ),
        sources=(
            "data_builders/build.py",
            "data_builders/gathering.py",
            "data_builders/mixing.py",
            *builders,
        ),
        given=tuple(
            file for spec in (*described.values(), *files.values()) for file in _local_files(spec)
        ),
    )


def _own_sources(recipe: Recipe) -> dict[str, str]:
    """Functions of the user's own among the sources, in the stage's copy of their files."""
    own = [name for name in recipe.data.sources if re.fullmatch(OWN_SOURCE, name)]
    return {
        name: f"{OUT}/source_{number}.py:{own_function(name).name}"
        for number, name in enumerate(own, start=1)
    }


def _teaching(recipe: Recipe) -> dict[str, Any] | None:
    """The teacher's part of the data stage; the frames it sees matter to no other part."""
    own = recipe.data
    if own.trajectories is None:
        return None
    return {
        "trajectories": own.trajectories.model_dump(mode="json"),
        "frames": frames(recipe, None),
        "cache": str(ROOT / own.cache_dir),
        "replies": str(ROOT / own.download_dir / "trajectories" / "replies.jsonl"),
        "vllm": _vllm(recipe) if _serves(recipe) else None,
        "workers": own.workers,
        "max_quarantined": own.max_quarantined,
    }


def _serves(recipe: Recipe) -> tuple[Command, ...]:
    """Where the stage serves a teacher itself: what shows at once whether vLLM works here."""
    own = recipe.data.trajectories
    if own is None or not any(spec and spec.serve is not None for spec in (own.teacher, own.judge)):
        return ()
    return (Command(environment(recipe, "eval"), ("-c", "import vllm")),)


def _vllm(recipe: Recipe) -> str:
    return str(envs.interpreter(environment(recipe, "eval")).with_name("vllm"))


def _located(source: Spec | None) -> dict[str, Any] | None:
    """What a recipe says of a source; its paths are relative to the project."""
    if source is None:
        return None
    said = source.model_dump(mode="json")
    local = {key for key in _LOCAL if isinstance(said.get(key), str)}
    return {key: str(ROOT / v) if key in local else v for key, v in said.items()}


def _local_files(source: dict[str, Any] | None) -> list[Path]:
    """Files and folders of this machine that a source names."""
    local = {
        key: Path(v) for key, v in (source or {}).items() if key in _LOCAL and isinstance(v, str)
    }
    rows, sets = local.pop("rows", None), (source or {}).get("sets", {})
    return [*local.values(), *(rows / file for file in sets.values() if rows)]


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
        sources: tuple[str, ...] = ("data_builders/tiny_model.py", "data_builders/prompt.py")
    else:
        config = {
            "path": str(recipe.model.path),
            "revision": recipe.model.revision,
            "out": str(OUT / "checkpoint"),
        }
        command = module("orchestrator", "data_builders.models", "model.json")
        sources = ("data_builders/models.py", "data_builders/fetch.py")
    return Draft(
        name="model",
        commands=(command,),
        files={str(OUT / "model.json"): to_json(config)},
        resources=Resources(recipe.cluster.cpus_per_stage, pin=recipe.cluster.pin),
        sources=sources,
        needs=(done["data"],),
        given=_local_model(recipe),
    )


def _local_model(recipe: Recipe) -> tuple[Path, ...]:
    """The base model's folder, where it is one rather than a repository of the Hub."""
    path = ROOT / (recipe.model.path or "")
    return (path,) if recipe.model.path is not None and path.is_dir() else ()


def merge(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Sharded RL checkpoint to one Hugging Face checkpoint."""
    config = {
        "source": str(done["rl"] / "checkpoints"),
        "target": str(OUT / "checkpoint"),
        "dtype": {"bf16": "bfloat16", "fp32": "float32"}[recipe.merge.dtype],
    }
    command = module(
        environment(recipe, rl_environment(recipe)),
        f"reward_plugins.merge.{recipe.rl.trainer}",
        "merge.json",
    )
    return Draft(
        name="merge",
        commands=(command,),
        files={str(OUT / "merge.json"): to_json(config)},
        resources=Resources(recipe.cluster.cpus_per_stage, pin=recipe.cluster.pin),
        sources=("reward_plugins/merge",),
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


def report(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """The page with the table, the curves and a few clips."""
    unused = set() if "rl" in recipe.eval.checkpoints else {"rl", "merge"}
    config = {
        "recipe": recipe.model_dump(mode="json", exclude={"review", "recovery"}),
        "stages": {name: str(path) for name, path in done.items() if name not in unused},
        "out": str(OUT),
    }
    return Draft(
        name="report",
        commands=(module("orchestrator", "orchestrator.report", "report.json"),),
        files={str(OUT / "report.json"): to_json(config)},
        resources=Resources(1, pin=recipe.cluster.pin),
        sources=("orchestrator/report", "orchestrator/run/history.py"),
        needs=(done["eval"],),
    )


def module(environment: str, name: str, config: str, *words: str, **environ: str) -> Command:
    """`python -m name OUT/config words` in an environment; it reports to `OUT/progress.jsonl`."""
    progress = Progress(str(OUT / "progress.jsonl"), step="done", total="total")
    return Command(environment, ("-m", name, str(OUT / config), *words), environ, progress)


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
