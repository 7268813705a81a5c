"""A stage of sampling: questions put to a policy, and a question set of what it says."""

from __future__ import annotations

from orchestrator.plan import own_reward
from orchestrator.plan.context import REWARD, SEEN, Context, module
from orchestrator.plan.stage import ROOT, Stage
from orchestrator.plan.values import OUT, Output, RunTime
from orchestrator.recipe.stages import SampleStage
from orchestrator.recipe.tasks import with_tasks


def sample(context: Context, name: str, spec: SampleStage) -> Stage:
    """Prepare the frames, sample with the evaluation's engine, then keep by score."""
    recipe = context.recipe.at(name)
    config = {
        "policy": spec.start,
        "checkpoint": context.policy(spec.start),
        "questions": {
            "samples": context.questions(spec.questions),
            "clips": Output(context.stages["data"]),
        },
        "cache": RunTime(str(ROOT / recipe.data.cache_dir)),
        "frames": context.frames(spec.frames),
        "prompt": with_tasks(recipe.prompt, recipe.tasks).model_dump(mode="json"),
        "engine": spec.engine,
        "engines": context.engines(spec.engines),
        "responses": spec.responses,
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "batch_size": spec.batch_size,
        "max_new_tokens": spec.max_new_tokens,
        "max_questions": spec.max_questions,
        "keep": spec.keep,
        "most": spec.most,
        "low": spec.low,
        "high": spec.high,
        "reward": own_reward.trainer_arguments(recipe),
        "seed": recipe.seed,
        "workers": RunTime(recipe.data.workers),
        "max_quarantined": RunTime(recipe.data.max_quarantined),
        "out": OUT,
    }
    package = "orchestrator.sampling"
    return context.add(
        name,
        (
            module("orchestrator", f"{package}.prepare", "sample.json"),
            context.generation(spec.engine, f"{package}.generate", "sample.json"),
            module("orchestrator", f"{package}.select", "sample.json"),
        ),
        {"sample.json": config, **own_reward.files(recipe)},
        (
            "orchestrator/sampling",
            "orchestrator/evaluation/engines",
            "orchestrator/evaluation/pool.py",
            "orchestrator/evaluation/ledger.py",
            "orchestrator/evaluation/questions.py",
            *SEEN,
            *REWARD,
        ),
        context.resources(context.node_gpus),
    )
