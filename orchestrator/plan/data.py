"""The stages that come before training: questions and clips, and the base model."""

from __future__ import annotations

import re
from typing import Any

from data_builders.source_specs import OWN_SOURCE
from data_builders.specs import Spec
from orchestrator import envs
from orchestrator.plan.context import SEEN, Context, module, user_file
from orchestrator.plan.stage import ROOT, Command, Stage
from orchestrator.plan.values import OUT, RunTime, Source, UserFile
from orchestrator.recipe import Recipe
from orchestrator.recipe.own_code import own_function
from orchestrator.recipe.stages import RlStage, SftStage
from orchestrator.recipe.tasks import with_tasks
from reward_plugins.graders import LETTER

FETCHED = (
    "data_builders/annotations.py",
    "data_builders/archives.py",
    "data_builders/catalogue.py",
    "data_builders/sources.py",
)
"""What decides which files a source is read from, and how."""
_READING = ("reward_plugins/answers.py", "reward_plugins/ota.py")
_ROWS = (
    "data_builders/annotations.py",
    "data_builders/motion.py",
    "data_builders/options.py",
    "data_builders/rows.py",
    *_READING,
)
_BUILDERS = {
    "synthetic": ("data_builders/synthetic",),
    "camerabench": (*FETCHED, "data_builders/camerabench.py"),
    "shotqa": (*FETCHED, *_ROWS, "data_builders/shotqa.py", "data_builders/shotbench.py"),
    "folder": (*_ROWS, "data_builders/folder.py"),
    "files": (*FETCHED, *_ROWS),
    "shotbench": (*FETCHED, "data_builders/shotbench.py"),
    "shotbench_camera_movement": (*FETCHED, "data_builders/shotbench.py"),
    "refineshot": (*FETCHED, "data_builders/shotbench.py", "data_builders/refineshot.py"),
    "motionbench_camera": (*FETCHED, *_ROWS, "data_builders/motionbench.py"),
    "trajectories": (
        "data_builders/teaching.py",
        "data_builders/trajectories.py",
        "data_builders/trajectory_writer.py",
        "data_builders/trajectory_filters.py",
        "data_builders/chat.py",
        "data_builders/motion.py",
        *_READING,
        *SEEN,
    ),
}
"""What decides a source's samples: to change one source leaves the others' clips as they are."""
_USER_FILES = ("rows", "train_annotations", "clips", "questions")
"""Keys of sources that may name files and folders of this machine."""


def questions(context: Context) -> Stage:
    """Clips and questions of every source, as Parquet."""
    recipe, own = context.recipe, context.recipe.data
    files = {
        name: _located(spec) for name, spec in (own.files or {}).items() if name in own.sources
    }
    copies = _own_sources(recipe)
    config = {
        "sources": [copies.get(name, name) for name in own.sources],
        "weights": own.weights and {copies.get(k, k): v for k, v in own.weights.items()},
        "camerabench": _located(own.camerabench),
        "folder": _located(own.folder),
        "shotqa": own.shotqa and own.shotqa.model_dump(mode="json"),
        "files": files or None,
        "synthetic": own.synthetic and own.synthetic.model_dump(mode="json"),
        "teaching": _teaching(context),
        "tags": recipe.taught_tags,
        **_graded(recipe),
        "downloads": RunTime(str(ROOT / own.download_dir)),
        "max_quarantined": RunTime(own.max_quarantined),
        "workers": RunTime(own.workers),
        "seed": recipe.seed,
        "out": OUT,
    }
    used = {*own.sources, *(["trajectories"] if own.trajectories else [])}
    used |= {"files"} if files else set()
    builders = dict.fromkeys(f for name, own in _BUILDERS.items() if name in used for f in own)
    written = {
        copy.partition(":")[0]: Source(own_function(name).source) for name, copy in copies.items()
    }
    serves = _serves(context)
    return context.add(
        "data",
        (*serves, module("orchestrator", "data_builders.build", "data.json")),
        {"data.json": config, **written},
        (
            "data_builders/build.py",
            "data_builders/gathering.py",
            "data_builders/media.py",
            "data_builders/mixing.py",
            "data_builders/placing.py",
            "data_builders/sample.py",
            *builders,
        ),
        context.resources(context.node_gpus if serves else 0),
    )


def _graded(recipe: Recipe) -> dict[str, list[str]]:
    """Question sets that the recipe's graders score, and tasks whose questions need no options.

    None, where a reward of the user's own scores the questions without.
    """
    sections = [recipe.rl, *(s for s in recipe.stages.values() if isinstance(s, RlStage))]
    if any(section.reward.function for section in sections):
        return {"scored": [], "open_tasks": []}
    asked = {spec.questions for spec in recipe.stages.values() if not isinstance(spec, SftStage)}
    open_tasks = [name for name, task in recipe.tasks.items() if task.grader != LETTER]
    return {"scored": sorted({*asked, "test"}), "open_tasks": sorted(open_tasks)}


def _own_sources(recipe: Recipe) -> dict[str, str]:
    """Functions of the user's own among the sources, in the stage's copy of their files."""
    own = [name for name in recipe.data.sources if re.fullmatch(OWN_SOURCE, name)]
    return {
        name: f"source_{number}.py:{own_function(name).name}"
        for number, name in enumerate(own, start=1)
    }


def _teaching(context: Context) -> dict[str, Any] | None:
    """The teacher's part of the stage; the frames it sees matter to no other part."""
    own = context.recipe.data
    if own.trajectories is None:
        return None
    vllm = envs.interpreter(context.environment("eval")).with_name("vllm")
    replies = ROOT / own.download_dir / "trajectories" / "replies.jsonl"
    return {
        "trajectories": own.trajectories.model_dump(mode="json"),
        "frames": context.frames(None),
        "cache": RunTime(str(ROOT / own.cache_dir)),
        "replies": RunTime(str(replies)),
        "vllm": RunTime(str(vllm)) if _serves(context) else None,
        "workers": RunTime(own.workers),
        "max_quarantined": RunTime(own.max_quarantined),
    }


def _serves(context: Context) -> tuple[Command, ...]:
    """Where the stage serves a teacher itself: what shows at once whether vLLM works here."""
    own = context.recipe.data.trajectories
    if own is None or not any(spec and spec.serve is not None for spec in (own.teacher, own.judge)):
        return ()
    return (Command(context.environment("eval"), ("-c", "import vllm")),)


def _located(source: Spec | None) -> dict[str, Any] | None:
    """What a recipe says of a source, with the user's own files in it as such.

    Of a folder of rows only the files of its sets decide the result.
    """
    if source is None:
        return None
    keys = source.model_dump(mode="json")
    local = {key for key in _USER_FILES if isinstance(keys.get(key), str)}
    named = {key: user_file(v) if key in local else v for key, v in keys.items()}
    if "rows" in local:
        named["rows"] = UserFile(named["rows"].path, tuple(keys["sets"].values()))
    return named


def model(context: Context) -> Stage:
    """The base checkpoint: built small and random, or fetched from the Hub."""
    recipe = context.recipe
    if recipe.model.build is not None:
        config: dict[str, Any] = {
            "model": recipe.model.build.model_dump(mode="json"),
            "prompt": with_tasks(recipe.prompt, recipe.tasks).model_dump(mode="json"),
            "frames": recipe.frames.model_dump(mode="json"),
            "samples": context.questions("sft"),
            "out": OUT / "checkpoint",
        }
        command = module(context.environment("sft"), "data_builders.tiny_model", "model.json")
        code: tuple[str, ...] = (
            "data_builders/tiny_model.py",
            "data_builders/prompt.py",
            "data_builders/media.py",
        )
    else:
        config = {
            "path": model_path(recipe),
            "revision": recipe.model.revision,
            "out": OUT / "checkpoint",
        }
        command = module("orchestrator", "data_builders.models", "model.json")
        code = ("data_builders/models.py", "data_builders/fetch.py")
    return context.add("model", (command,), {"model.json": config}, code)


def model_path(recipe: Recipe) -> Any:
    """The base model: a folder of the user's where there is one, else a repository of the Hub."""
    assert recipe.model.path is not None
    folder = user_file(recipe.model.path)
    return folder if folder.path.is_dir() else recipe.model.path
