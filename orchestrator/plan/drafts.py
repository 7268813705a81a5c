"""What the trainers' drafts share: the trainer's own parser first, then its data, then it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.plan import own_reward, stages
from orchestrator.plan.stage import OUT, Command, Draft, Progress, Resources
from orchestrator.recipe import Recipe


def commands(train: Command, parser: str, config: Path) -> tuple[Command, ...]:
    """`train` after what makes it ready; `orchestrator.doctor.<parser>` reads the `config`."""
    check = Command(train.environment, ("-m", f"orchestrator.doctor.{parser}", str(config)))
    return check, stages.module("orchestrator", "data_builders.prepare", "prepare.json"), train


def rl(recipe: Recipe, done: dict[str, Path], config: object, *, entry: str, score: str) -> Draft:
    """Reinforcement in the recipe's trainer, whose plugin's module `entry` reads the `config`.

    `score` is the key of the mean reward in a row of metrics. The driver reserves a CPU and no GPU:
    the trainer's own workers reserve those in the same cluster.
    """
    trainer, written = recipe.rl.trainer, OUT / "train.json"
    plugin = f"reward_plugins.{trainer}_plugin"
    train = Command(
        stages.environment(recipe, stages.rl_environment(recipe)),
        ("-m", f"{plugin}.{entry}", str(written)),
        progress=Progress(
            path=str(OUT / "metrics.jsonl"),
            step="step",
            total=recipe.rl.max_steps or "total",
            metric=f"data.{score}",
            label="reward",
            whole=True,
        ),
    )
    prepare = stages.prepare_config(recipe, done, trainer, recipe.rl.frames, "rl")
    return Draft(
        name="rl",
        commands=commands(train, f"parse_{trainer}", written),
        files={
            str(OUT / "prepare.json"): prepare,
            str(written): stages.to_json(config),
            **own_reward.files(recipe),
        },
        resources=Resources(1, pin=recipe.cluster.pin),
        sources=(*stages.REWARD, *stages.GIVEN, plugin.replace(".", "/")),
        needs=(done["data"] / "rl.parquet", stages.starting_policy(recipe, done)),
    )
