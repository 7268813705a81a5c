"""Recipe -> stages: every file and command that would run, without running anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.plan import data, evaluation, llamafactory, reinforce, report, sample
from orchestrator.plan.context import Context
from orchestrator.plan.stage import Stage
from orchestrator.recipe import Recipe
from orchestrator.recipe.stages import RlStage, SampleStage, SftStage, ordered

KINDS: dict[type[Any], Callable[[Context, str, Any], Stage]] = {
    SftStage: llamafactory.sft,
    RlStage: reinforce.rl,
    SampleStage: sample.sample,
}
"""How a stage of each kind is made."""


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
        needed = {name}
        for stage in reversed(self.stages):
            if stage.name in needed:
                needed |= {earlier.name for earlier in stage.inputs}
        return tuple(stage for stage in self.stages if stage.name in needed)


def make_plan(recipe: Recipe, runs: Path) -> Plan:
    """All stages of `recipe`, each with the ones before it."""
    context = Context(recipe, runs / ".stages")
    data.questions(context)
    if evaluation.has_benchmarks(recipe):
        evaluation.benchmarks(context)
    data.model(context)
    for name in ordered(recipe.stages):
        spec = recipe.stages[name]
        KINDS[type(spec)](context, name, spec)
    if recipe.eval.external:
        evaluation.external(context)
    evaluation.evaluation(context)
    report.report(context)
    return Plan(recipe, tuple(context.stages.values()), runs / recipe.name)
