"""A stage of reinforcement: the trainer's own parser, its data, the trainer, and the merge."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.plan import easyr1, own_reward, verl
from orchestrator.plan.context import PREPARED, REWARD, Context, module, parser
from orchestrator.plan.stage import Command, Progress, Resources, Stage
from orchestrator.plan.values import OUT
from orchestrator.recipe.stages import RlStage

TRAINERS = {"verl": verl, "easyr1": easyr1}
ENVIRONMENTS = {"verl": "rl", "easyr1": "easyr1"}
"""EasyR1's package is also called `verl`, so each back end has an environment of its own."""


def rl(context: Context, name: str, spec: RlStage) -> Stage:
    """Reinforcement in the stage's trainer; each checkpoint that it keeps is merged at the end.

    The driver reserves a CPU and no GPU: the trainer's own workers reserve those in the same
    cluster.
    """
    recipe, trainer = context.recipe.at(name), TRAINERS[spec.trainer]
    plugin = f"reward_plugins.{spec.trainer}_plugin"
    environment = context.environment(ENVIRONMENTS[spec.trainer], spec.rollout.engine)
    train = Command(
        environment,
        ("-m", f"{plugin}.{trainer.ENTRY}", OUT / "train.json"),
        progress=Progress(
            path=OUT / "metrics.jsonl",
            step="step",
            total=spec.max_steps or "total",
            metric=f"data.{trainer.SCORE}",
            label="reward",
            whole=True,
        ),
    )
    merge = {
        "source": OUT / "checkpoints",
        "target": OUT,
        "dtype": {"bf16": "bfloat16", "fp32": "float32"}[spec.merge_dtype],
    }
    return context.add(
        name,
        (
            parser(environment, f"parse_{spec.trainer}", "train.json"),
            module("orchestrator", "data_builders.prepare", "prepare.json"),
            train,
            module(environment, f"reward_plugins.merge.{spec.trainer}", "merge.json"),
        ),
        {
            "prepare.json": {
                **context.prepare(spec.trainer, "rl", spec.questions, spec.frames, recipe.prompt),
                "hold_out": spec.validation.questions if spec.validation else 0,
                "seed": recipe.seed,
            },
            "train.json": trainer.train_config(recipe, context.policy(spec.start)),
            "merge.json": merge,
            **own_reward.files(recipe),
        },
        (*REWARD, *PREPARED, plugin.replace(".", "/")),
        Resources(1, pin=recipe.cluster.pin),
        layout=replace(trainer.LAYOUT, ranks=recipe.devices),
    )
