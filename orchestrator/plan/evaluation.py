"""Drafts of the stages that evaluate: benchmarks, evaluation, and benchmarks of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_builders.source_specs import RepositoryFile
from data_builders.trajectory_specs import EndpointSpec
from orchestrator import envs
from orchestrator.plan import own_reward, stages
from orchestrator.plan.stage import OUT, ROOT, Command, Draft, Resources, source_hash
from orchestrator.recipe import Recipe
from orchestrator.recipe.evaluation import EvaluatedModel, short_name
from orchestrator.recipe.own_code import own_function

ENGINES = "orchestrator/evaluation/engines"
SOURCES = (
    "data_builders/models.py",
    "data_builders/sources.py",
    "data_builders/catalogue.py",
    "data_builders/camerabench.py",
    "data_builders/shotbench.py",
    "data_builders/refineshot.py",
    "data_builders/motionbench.py",
    "data_builders/synthetic",
    "orchestrator/evaluation/benchmarks.py",
)
"""What decides the benchmarks' questions."""


def has_benchmarks(recipe: Recipe) -> bool:
    """Whether anything is to be fetched or rendered for the evaluation alone."""
    models = recipe.eval.models.values()
    return bool(_fetched(recipe) or _own_files(recipe) or _published(recipe)) or any(
        model.path for model in models
    )


def benchmarks(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Questions and clips of the benchmarks, and the models that are compared with.

    Before any training, so that a missing network or permission shows first.
    """
    synthetic = recipe.eval.synthetic if "synthetic" in recipe.eval.benchmarks else None
    config = {
        "benchmarks": _fetched(recipe),
        "own": {name: f"{OUT}/{name}.py:{name}" for name in _own_files(recipe)},
        "synthetic": synthetic and synthetic.model_dump(mode="json"),
        "models": [
            {"path": model.path, "revision": model.revision, "out": str(_directory(recipe, model))}
            for model in recipe.eval.models.values()
            if model.path
        ],
        "predictions": [
            [file.repository.model_dump(mode="json"), str(_folder(recipe, file))]
            for file in _published(recipe)
        ],
        "downloads": str(ROOT / recipe.data.download_dir),
        "workers": recipe.data.workers,
        "out": str(OUT),
    }
    return Draft(
        name="benchmarks",
        commands=(
            stages.module("orchestrator", "orchestrator.evaluation.benchmarks", "benchmarks.json"),
        ),
        files={
            str(OUT / "benchmarks.json"): stages.to_json(config),
            **{str(OUT / f"{name}.py"): text for name, text in _own_files(recipe).items()},
        },
        resources=Resources(recipe.cluster.cpus_per_stage, pin=recipe.cluster.pin),
        sources=SOURCES,
    )


def external(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Benchmarks that are not ours, by lmms-eval, which has an environment of its own."""
    here, tasks = _here(recipe, done), recipe.eval.external_path
    return Draft(
        name="external",
        commands=tuple(_lmms_eval(recipe, name, path) for name, path in here.items()),
        files={},
        resources=Resources(
            recipe.cluster.cpus_per_stage, stages.gpus_of_one_node(recipe), recipe.cluster.pin
        ),
        sources=(),
        needs=tuple(here.values()),
        given=(ROOT / tasks,) if tasks else (),
    )


def _lmms_eval(recipe: Recipe, name: str, checkpoint: Path) -> Command:
    spec, tasks = recipe.eval.frames or recipe.frames, recipe.eval.external_path
    arguments = {
        "pretrained": checkpoint,
        "min_pixels": spec.min_pixels,
        "max_pixels": spec.max_pixels,
        "max_num_frames": spec.max_frames,
        "device": recipe.cluster.device,
        "device_map": recipe.cluster.device,
    }
    return Command(
        "lmms",
        (
            *("-m", "lmms_eval", "--model", recipe.eval.external_model),
            *("--model_args", ",".join(f"{key}={value}" for key, value in arguments.items())),
            *("--tasks", ",".join(recipe.eval.external), "--batch_size", "1", "--log_samples"),
            *("--output_path", str(OUT / name)),
            *(("--include_path", str(ROOT / tasks)) if tasks else ()),
        ),
    )


def evaluation(recipe: Recipe, done: dict[str, Path]) -> Draft:
    """Answers of every checkpoint to the questions of every benchmark, and their scores."""
    own, here = recipe.eval, list(_here(recipe, done).values())
    config = {
        "checkpoints": list(_checkpoints(recipe, done)),
        "benchmarks": [
            [short_name(name), _question_set(recipe, done, name)] for name in own.benchmarks
        ],
        "answers": str(ROOT / recipe.data.download_dir / "answers"),
        "cache": str(ROOT / recipe.data.cache_dir),
        "frames": stages.frames(recipe, own.frames),
        "prompt": recipe.prompt.model_dump(mode="json"),
        "engine": own.engine,
        "vllm": own.vllm,
        "versions": _versions(recipe),
        "batch_size": own.batch_size,
        "max_new_tokens": own.max_new_tokens,
        "swap_control": own.swap_control,
        "max_questions": own.max_questions,
        "judge": _judge(recipe),
        "judge_server": _judge_server(recipe),
        **recipe.rl.reward.model_dump(
            include={"matching", "gate_accuracy_on_format", "min_block_chars"}
        ),
        "reward": _own_reward(recipe),
        "seed": recipe.seed,
        "workers": recipe.data.workers,
        "max_quarantined": recipe.data.max_quarantined,
        "external": str(done["external"]) if own.external else None,
        "out": str(OUT),
    }
    computes = here or (own.judge and own.judge.endpoint.serve is not None)
    gpus = stages.gpus_of_one_node(recipe) if computes else 0
    return Draft(
        name="eval",
        commands=tuple(_commands(recipe, bool(here))),
        files={str(OUT / "eval.json"): stages.to_json(config), **own_reward.files(recipe)},
        resources=Resources(recipe.cluster.cpus_per_stage, gpus, recipe.cluster.pin),
        sources=("orchestrator/evaluation", *stages.SEEN, *stages.GRADING, *_serving(recipe)),
        needs=(*here, *([done["benchmarks"]] if has_benchmarks(recipe) else [])),
    )


def _commands(recipe: Recipe, here: bool) -> Iterator[Command]:
    """What fails without a model first; then the models, here and elsewhere; then the scores."""
    package, config = "orchestrator.evaluation", "eval.json"
    yield stages.module("orchestrator", f"{package}.prepare", config)
    if here:
        yield stages.module(stages.environment(recipe, "eval"), package, config, "here")
    if any(model.base_url for model in recipe.eval.models.values()):
        yield stages.module("orchestrator", package, config, "served")
    yield stages.module("orchestrator", f"{package}.collect", config)
    if recipe.eval.judge:
        if recipe.eval.judge.endpoint.serve is not None:  # so that what serves is installed
            yield Command(stages.environment(recipe, "eval"), ("-c", "import transformers"))
        yield stages.module("orchestrator", f"{package}.judge", config)
    yield stages.module("orchestrator", f"{package}.score", config)


def _judge(recipe: Recipe) -> dict[str, Any] | None:
    own = recipe.eval.judge
    if own is None:
        return None
    labels = str(ROOT / own.labels) if own.labels else None
    return {**own.model_dump(mode="json"), "labels": labels}


def _serving(recipe: Recipe) -> tuple[str, ...]:
    served = own_judge.endpoint.serve if (own_judge := recipe.eval.judge) else None
    return () if served is None else ("data_builders/text_server.py",)


def _judge_server(recipe: Recipe) -> list[str]:
    python = envs.interpreter(stages.environment(recipe, "eval"))
    if recipe.cluster.device == "cpu":
        return [str(python), "-m", "data_builders.text_server"]
    return [str(python.with_name("vllm"))]


def _own_reward(recipe: Recipe) -> dict[str, Any] | None:
    own = own_reward.function(recipe)
    return own and {"function": f"{own[0]}:{own[1]}", "arguments": own_reward.arguments(recipe)}


def _fetched(recipe: Recipe) -> list[str]:
    names = recipe.eval.benchmarks
    return [name for name in names if name != "held_out" and name == short_name(name)]


def _own_files(recipe: Recipe) -> dict[str, str]:
    """The text of each benchmark of the user's own, by its name."""
    own = [name for name in recipe.eval.benchmarks if name != short_name(name)]
    return {short_name(name): own_function(name).source for name in own}


def _question_set(recipe: Recipe, done: dict[str, Path], benchmark: str) -> dict[str, str]:
    if benchmark == "held_out":
        return {"samples": str(done["data"] / "test.parquet"), "clips": str(done["data"])}
    name = short_name(benchmark)
    made_there = benchmark == "synthetic" or name != benchmark
    clips = done["benchmarks"] if made_there else ROOT / recipe.data.download_dir
    return {"samples": str(done["benchmarks"] / f"{name}.parquet"), "clips": str(clips)}


def _checkpoints(recipe: Recipe, done: dict[str, Path]) -> Iterator[list[Any]]:
    """Pairs of a name and what answers under it, in the order of the tables."""
    for name, path in _here(recipe, done).items():
        yield [name, str(path)]
    for name, model in recipe.eval.models.items():
        if model.base_url:
            yield [name, _server(recipe, model)]
        elif model.predictions:
            files = {key: str(_answers(recipe, file)) for key, file in model.predictions.items()}
            yield [name, {"predictions": files}]


def _here(recipe: Recipe, done: dict[str, Path]) -> dict[str, Path]:
    """Checkpoint directories by name."""
    paths = {name: _own(recipe, done, name) for name in recipe.eval.checkpoints}
    for name, model in recipe.eval.models.items():
        if model.path:
            paths[name] = _directory(recipe, model)
    return paths


def _own(recipe: Recipe, done: dict[str, Path], name: str) -> Path:
    policy, _, wanted = name.partition(":")
    if policy == "base":
        return done["model"] / "checkpoint"
    if policy == "rl":
        return done["merge"] / "checkpoint"
    return done["sft"] / (wanted.replace(":", "-") or stages.selected_checkpoint(recipe))


def _server(recipe: Recipe, model: EvaluatedModel) -> dict[str, Any]:
    here = {"media", "top_logprobs"}
    asked = recipe.eval.server.model_dump(exclude=here)
    named = {"model": model.model, "base_url": model.base_url}
    endpoint = EndpointSpec.model_validate(
        {**asked, **named, "temperature": 0.0, "max_tokens": recipe.eval.max_new_tokens}
    )
    return {
        "endpoint": endpoint.model_dump(mode="json"),
        **recipe.eval.server.model_dump(include=here),
    }


def _directory(recipe: Recipe, model: EvaluatedModel) -> Path:
    """Where a model of the Hub is kept, for all runs."""
    name = str(model.path).strip("/").replace("/", "--")
    named = name if model.revision == "main" else f"{name}@{model.revision}"
    return ROOT / recipe.data.download_dir / "models" / named


def _published(recipe: Recipe) -> list[RepositoryFile]:
    """Answers that others published."""
    files = (file for m in recipe.eval.models.values() for file in m.predictions.values())
    return [file for file in files if isinstance(file, RepositoryFile)]


def _folder(recipe: Recipe, file: RepositoryFile) -> Path:
    """Where published answers are kept, for all runs."""
    name = f"{file.repo}/{file.file}".replace("/", "--")
    return ROOT / recipe.data.download_dir / "predictions" / f"{name}@{file.revision}"


def _answers(recipe: Recipe, file: str | RepositoryFile) -> Path:
    return ROOT / file if isinstance(file, str) else _folder(recipe, file) / file.file


def _versions(recipe: Recipe) -> dict[str, str]:
    """Of each engine: its code, and the environment of those that compute."""
    lock = envs.lock_hash(stages.environment(recipe, "eval"))
    local, served = source_hash(ENGINES), source_hash(f"{ENGINES}/openai.py")
    settings = json.dumps(recipe.eval.vllm, sort_keys=True) if recipe.eval.vllm else ""
    mixed = hashlib.blake2b(f"{lock} {local}{settings}".encode(), digest_size=8).hexdigest()
    return {recipe.eval.engine: mixed, "openai": served}
