"""Recipe -> stages: every file and command that would run, without running anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.plan import easyr1, evaluation, llamafactory, stages, verl
from orchestrator.plan.contents import contents
from orchestrator.plan.stage import ROOT, Draft, Stage, seal
from orchestrator.recipe import Recipe

ENVIRONMENTS = ROOT / "envs"


@dataclass(frozen=True)
class Plan:
    """The stages of a recipe in the order they run, and the run directory that shows them."""

    recipe: Recipe
    stages: tuple[Stage, ...]
    directory: Path

    def stage(self, name: str) -> Stage:
        """The stage called `name`."""
        return next(stage for stage in self.stages if stage.name == name)

    def until(self, name: str) -> tuple[Stage, ...]:
        """The stages that must be done for `name` to be, itself last."""
        wanted = {name}
        for stage in reversed(self.stages):
            if stage.name in wanted:
                wanted |= {s.name for s in self.stages if s is not stage and stage.reads(s)}
        return tuple(stage for stage in self.stages if stage.name in wanted)


def make_plan(recipe: Recipe, runs: Path) -> Plan:
    """All stages of `recipe`, each sealed with the directories of the ones before it."""
    locks = {path.stem: _lock_hash(path) for path in ENVIRONMENTS.glob("*.txt")}
    done: dict[str, Path] = {}
    sealed: list[Stage] = []
    for draft in _drafters(recipe):
        drafted = draft(recipe, done)
        stage = seal(drafted, runs / ".stages", locks, contents(drafted, sealed))
        done[stage.name] = stage.directory
        sealed.append(stage)
    return Plan(recipe, tuple(sealed), runs / recipe.name)


def _drafters(recipe: Recipe) -> list[Callable[[Recipe, dict[str, Path]], Draft]]:
    trainer = {"verl": verl, "easyr1": easyr1}[recipe.rl.trainer]
    return [
        stages.data,
        *([evaluation.benchmarks] if evaluation.has_benchmarks(recipe) else []),
        stages.model,
        llamafactory.sft,
        trainer.rl,
        stages.merge,
        *([evaluation.external] if recipe.eval.external else []),
        evaluation.evaluation,
        stages.report,
    ]


def _lock_hash(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
