"""The stages that evaluate: benchmarks, evaluation, and benchmarks of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from data_builders.source_specs import RepositoryFile
from orchestrator import envs
from orchestrator.plan import digests, own_reward
from orchestrator.plan.context import GRADING, SEEN, Context, module, user_file
from orchestrator.plan.data import FETCHED
from orchestrator.plan.stage import ROOT, Command, Stage
from orchestrator.plan.values import OUT, Joined, Output, RunTime, Source
from orchestrator.recipe import Recipe
from orchestrator.recipe.evaluation import EvaluatedModel, short_name
from orchestrator.recipe.own_code import own_function
from orchestrator.recipe.tasks import with_tasks

ENGINES = "orchestrator/evaluation/engines"
CODE = (
    *FETCHED,
    "data_builders/media.py",
    "data_builders/models.py",
    "data_builders/options.py",
    "data_builders/sample.py",
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


def benchmarks(context: Context) -> Stage:
    """Questions and clips of the benchmarks, and the models that are compared with.

    Before any training, so that a missing network or permission shows first.
    """
    recipe = context.recipe
    synthetic = recipe.eval.synthetic if "synthetic" in recipe.eval.benchmarks else None
    own = _own_files(recipe)
    config = {
        "benchmarks": _fetched(recipe),
        "own": {name: Joined((OUT / f"{name}.py", f":{name}")) for name in own},
        "synthetic": synthetic and synthetic.model_dump(mode="json"),
        "models": {model.folder: _model(recipe, model) for model in _models(recipe)},
        "predictions": {
            _published_folder(file): [
                file.repository.model_dump(mode="json"),
                _kept(recipe, "predictions", _published_folder(file)),
            ]
            for file in _published(recipe)
        },
        "downloads": RunTime(str(ROOT / recipe.data.download_dir)),
        "workers": RunTime(recipe.data.workers),
        "out": OUT,
    }
    return context.add(
        "benchmarks",
        (module("orchestrator", "orchestrator.evaluation.benchmarks", "benchmarks.json"),),
        {"benchmarks.json": config, **{f"{name}.py": text for name, text in own.items()}},
        CODE,
    )


def external(context: Context) -> Stage:
    """Benchmarks that are not ours, by lmms-eval, which has an environment of its own."""
    checkpoints = _checkpoint_directories(context).items()
    return context.add(
        "external",
        tuple(_lmms_eval(context.recipe, name, path) for name, path in checkpoints),
        {},
        (),
        context.resources(context.node_gpus),
    )


def _lmms_eval(recipe: Recipe, name: str, checkpoint: Any) -> Command:
    spec, tasks = recipe.eval.frames or recipe.frames, recipe.eval.external_path
    arguments = {
        "min_pixels": spec.min_pixels,
        "max_pixels": spec.max_pixels,
        "max_num_frames": spec.max_frames,
        "device": recipe.cluster.device,
        "device_map": recipe.cluster.device,
    }
    rest = "".join(f",{key}={value}" for key, value in arguments.items())
    return Command(
        "lmms",
        (
            *("-m", "lmms_eval", "--model", recipe.eval.external_model),
            *("--model_args", Joined(("pretrained=", checkpoint, rest))),
            *("--tasks", ",".join(recipe.eval.external), "--batch_size", "1", "--log_samples"),
            *("--output_path", OUT / name.replace(":", "-")),
            *(("--include_path", user_file(tasks)) if tasks else ()),
        ),
    )


def evaluation(context: Context) -> Stage:
    """Answers of every checkpoint to the questions of every benchmark, and their scores."""
    recipe, own = context.recipe, context.recipe.eval
    here = _checkpoint_directories(context)
    config = {
        "checkpoints": [*map(list, here.items()), *_others(context)],
        "benchmarks": [[short_name(name), _question_set(context, name)] for name in own.benchmarks],
        "answers": RunTime(str(ROOT / recipe.data.download_dir / "answers")),
        "cache": RunTime(str(ROOT / recipe.data.cache_dir)),
        "frames": context.frames(own.frames),
        "prompt": with_tasks(recipe.prompt, recipe.tasks).model_dump(mode="json"),
        "engine": own.engine,
        "vllm": own.vllm,
        "engines": context.engines(own.engines, own.gpus_per_engine),
        "versions": _versions(context),
        "batch_size": own.batch_size,
        "max_new_tokens": own.max_new_tokens,
        "swap_control": own.swap_control,
        "max_questions": own.max_questions,
        "judge": _judge(recipe),
        "judge_server": _judge_server(context),
        **recipe.rl.reward.model_dump(
            include={"matching", "gate_accuracy_on_format", "min_block_chars"}
        ),
        "reward": own_reward.config(recipe),
        "tasks": own_reward.tasks(recipe),
        "metrics": {name: task.metric for name, task in recipe.tasks.items()},
        "seed": recipe.seed,
        "workers": RunTime(recipe.data.workers),
        "max_quarantined": RunTime(recipe.data.max_quarantined),
        "external": Output(context.stages["external"]) if own.external else None,
        "out": OUT,
    }
    computes = here or (own.judge and own.judge.endpoint.serve is not None)
    return context.add(
        "eval",
        tuple(_commands(context, bool(here))),
        {"eval.json": config, **own_reward.files(recipe)},
        ("orchestrator/evaluation", "data_builders/chat.py", *SEEN, *GRADING, *_judge_code(recipe)),
        context.resources(context.node_gpus if computes else 0),
    )


def _commands(context: Context, here: bool) -> Iterator[Command]:
    """What fails without a model first; then the models, here and elsewhere; then the scores."""
    package, config, own = "orchestrator.evaluation", "eval.json", context.recipe.eval
    yield module("orchestrator", f"{package}.prepare", config)
    if here:
        yield context.generation(own.engine, package, config, "here")
    if any(model.base_url for model in own.models.values()):
        yield module("orchestrator", package, config, "served")
    yield module("orchestrator", f"{package}.collect", config)
    if own.judge:
        if own.judge.endpoint.serve is not None:  # so that what serves is installed
            yield Command(context.environment("eval"), ("-c", "import transformers"))
        yield module("orchestrator", f"{package}.judge", config)
    yield module("orchestrator", f"{package}.score", config)


def _judge(recipe: Recipe) -> dict[str, Any] | None:
    own = recipe.eval.judge
    if own is None:
        return None
    return {
        **own.model_dump(mode="json"),
        "labels": user_file(str(own.labels)) if own.labels else None,
    }


def _judge_code(recipe: Recipe) -> tuple[str, ...]:
    judge = recipe.eval.judge
    serves = judge is not None and judge.endpoint.serve is not None
    return ("data_builders/text_server.py",) if serves else ()


def _judge_server(context: Context) -> RunTime:
    python = envs.interpreter(context.environment("eval"))
    if context.recipe.cluster.device == "cpu":
        return RunTime([str(python), "-m", "data_builders.text_server"])
    return RunTime([str(python.with_name("vllm"))])


def _fetched(recipe: Recipe) -> list[str]:
    names = recipe.eval.benchmarks
    return [name for name in names if name != "held_out" and name == short_name(name)]


def _own_files(recipe: Recipe) -> dict[str, Source]:
    """The text of each benchmark of the user's own, by its name."""
    own = [name for name in recipe.eval.benchmarks if name != short_name(name)]
    return {short_name(name): Source(own_function(name).source) for name in own}


def _question_set(context: Context, benchmark: str) -> dict[str, Any]:
    if benchmark == "held_out":
        return {"samples": context.questions("test"), "clips": Output(context.stages["data"])}
    stage, name = context.stages["benchmarks"], short_name(benchmark)
    made_there = benchmark == "synthetic" or name != benchmark
    downloads = RunTime(str(ROOT / context.recipe.data.download_dir))
    return {
        "samples": Output(stage, f"{name}.parquet"),
        "clips": Output(stage) if made_there else downloads,
    }


def _checkpoint_directories(context: Context) -> dict[str, Any]:
    """Where each checkpoint is that this machine loads, by name."""
    recipe = context.recipe
    ours = {name: context.policy(name) for name in recipe.checkpoints}
    others = ((name, model) for name, model in recipe.eval.models.items() if model.path)
    fetched = {name: f"models/{model.folder}" for name, model in others}
    return ours | {
        name: Output(context.stages["benchmarks"], path) for name, path in fetched.items()
    }


def _others(context: Context) -> Iterator[list[Any]]:
    """Pairs of a name and the server, or the files, that answer under it."""
    recipe, limit = context.recipe, context.recipe.eval.max_new_tokens
    for name, model in recipe.eval.models.items():
        if model.base_url and model.model:
            yield [name, recipe.eval.server.asks(model.model, model.base_url, limit)]
        elif model.predictions:
            files = {key: _answers(context, file) for key, file in model.predictions.items()}
            yield [name, {"predictions": files}]


def _models(recipe: Recipe) -> list[EvaluatedModel]:
    """Models that are compared with, and are folders of weights."""
    return [model for model in recipe.eval.models.values() if model.path]


def _model(recipe: Recipe, model: EvaluatedModel) -> dict[str, Any]:
    """What the benchmarks stage is told of a model with a `path`."""
    folder = user_file(str(model.path))
    return {
        "path": folder if folder.path.is_dir() else model.path,
        "revision": model.revision,
        "out": _kept(recipe, "models", model.folder),
    }


def _kept(recipe: Recipe, kind: str, name: str) -> RunTime:
    """Where what is fetched is kept, for all runs."""
    return RunTime(str(ROOT / recipe.data.download_dir / kind / name))


def _published(recipe: Recipe) -> list[RepositoryFile]:
    """Answers that others published."""
    files = (file for m in recipe.eval.models.values() for file in m.predictions.values())
    return [file for file in files if isinstance(file, RepositoryFile)]


def _published_folder(file: RepositoryFile) -> str:
    return f"{file.repo}/{file.file}".replace("/", "--") + f"@{file.revision}"


def _answers(context: Context, file: str | RepositoryFile) -> Any:
    if isinstance(file, str):
        return user_file(file)
    folder = f"predictions/{_published_folder(file)}"
    return Output(context.stages["benchmarks"], folder) / file.file


def _versions(context: Context) -> dict[str, str]:
    """Of each engine: its code, and the environment of those that compute."""
    settings = json.dumps(context.recipe.eval.vllm, sort_keys=True)
    settings = settings if context.recipe.eval.vllm else ""
    lock = envs.lock_hash(context.environment("eval", context.recipe.eval.engine))
    local, served = digests.of_code(ENGINES), digests.of_code(f"{ENGINES}/openai.py")
    mixed = hashlib.blake2b(f"{lock} {local}{settings}".encode(), digest_size=8).hexdigest()
    return {context.recipe.eval.engine: mixed, "openai": served}
