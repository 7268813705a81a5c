"""`make rehearse`: print what is changed, run the rest as the recipe says, and judge it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.console import Console
from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import Recipe
from orchestrator.rehearse.changes import (
    Change,
    RehearsalSpec,
    load_spec,
    recipe_changes,
    rehearsed,
    trainer_changes,
)
from orchestrator.rehearse.watch import Watch
from orchestrator.run.launch import launch
from orchestrator.show import table

OPTION = "rehearsal.device"
FOLDER = ".rehearsal"
"""Below the runs: what stand-ins made is no stage of a run that is meant."""


def rehearse(name: str, arguments: Sequence[str], runs: Path, console: Console) -> None:
    """The recipe in small through all that it names, with a table of what must hold.

    `arguments` are overrides and `rehearsal.device=cpu|cuda`. Raises `RecipeError` for a recipe
    that can't be rehearsed.
    """
    spec = load_spec(_device(arguments))
    overrides = [word for word in arguments if not word.startswith(f"{OPTION}=")]
    recipe, small = rehearsed(name, overrides, spec)
    console.say(f"[bold cyan]what the rehearsal of {recipe.name} changes[/]")
    _show(recipe_changes(recipe, small, spec), console)
    console.say("\n[bold cyan]and what the device changes in what the stages read[/]")
    _show(trainer_changes(small), console)
    home = runs / FOLDER
    _stand_ins(small, spec, console)
    plan = make_plan(small, home)
    console.announce(plan, plan.stages)
    with Watch(plan.stages) as watch:
        launch(plan, plan.stages, console)
    console.say(f"peak {watch.peak / 1e9:.1f} GB, killed {watch.killed}")


def _stand_ins(recipe: Recipe, spec: RehearsalSpec, console: Console) -> None:
    """Put stand-ins where the recipe keeps what it fetches."""
    from data_builders.standins import StandIns  # not needed to plan

    with console.waiting("rendering stand-ins for the published files"):
        made = StandIns(spec.stand_ins, ROOT / recipe.data.download_dir, recipe.data.workers)
        for source in (*recipe.data.sources, *recipe.eval.benchmarks):
            if source != "held_out":
                made.write(source, (recipe.data.files or {}).get(source))


def _device(arguments: Sequence[str]) -> str:
    given = [word.partition("=")[2] for word in arguments if word.startswith(f"{OPTION}=")]
    if len(set(given)) > 1:
        raise RecipeError(f"{OPTION}: given {len(set(given))} different values; leave one")
    return given[0] if given else "cpu"


def _show(changes: Sequence[Change], console: Console) -> None:
    rows = [(c.key, c.old, "→", c.new, c.why) for c in changes]
    table([("key", "recipe", "", "rehearsal", "why"), *rows], console)
