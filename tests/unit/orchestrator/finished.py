"""Runs whose stages are finished without having run; the manifests are real."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.recipe import load_recipe
from orchestrator.run import manifest, store


def finished_run(
    directory: Path,
    name: str,
    overrides: Sequence[str] = (),
    stages: Sequence[str] = ("data",),
    leaving: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """The tiny recipe's run called `name`, with `stages` done; each leaves the files asked for."""
    plan = make_plan(load_recipe("tiny", overrides), directory)
    plan = Plan(plan.recipe, plan.stages, directory / name)
    for stage in (plan.stage(chosen) for chosen in stages):
        if not store.is_done(stage):
            store.write_files(stage)
            origin = manifest.origin(plan, stage)
            for file in (leaving or {}).get(stage.name, ["result"]):
                (stage.directory / file).parent.mkdir(parents=True, exist_ok=True)
                (stage.directory / file).write_text(f"{plan.recipe.seed} {stage.name}")
            facts = {"started": 1.8e9, "seconds": 75.0, "machine": manifest.provenance.machine()}
            store.finish(stage, {**facts, **origin, **manifest.result(stage)})
        store.show_in_run(plan, stage)
    return plan


def with_values(stage: Stage, **values: object) -> Stage:
    """The stage with other values in place of what follows from it: directory, commands, files."""
    copy = replace(stage)
    vars(copy).update(values)
    return copy
