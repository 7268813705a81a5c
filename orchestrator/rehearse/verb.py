"""`make rehearse`: print what is changed, run the rest as the recipe says, and judge it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.console import Console
from orchestrator.errors import StageError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import Recipe
from orchestrator.rehearse.changes import (
    RehearsalSpec,
    load_spec,
    recipe_changes,
    rehearsed,
    trainer_changes,
)
from orchestrator.rehearse.report import Invariant, Report
from orchestrator.verbs.plan import table
from reward_plugins.files import write_file

FOLDER = ".rehearsal"
"""Below the runs: what stand-ins made is no stage of a run that is meant."""
PEAK = "peak_bytes.json"
"""By fingerprint of a stage."""


def rehearse(
    name: str, overrides: Sequence[str], device: str, runs: Path, console: Console
) -> None:
    """The recipe in small through all that it names, with a table of what must hold.

    `device` is cpu or cuda. Raises `RecipeError` for a recipe that can't be rehearsed, and
    `StageError` where something does not hold.
    """
    spec = load_spec(device)
    recipe, small = rehearsed(name, overrides, spec)
    changes = [*recipe_changes(recipe, small, spec), *trainer_changes(small)]
    console.say(f"[bold cyan]what the rehearsal of {recipe.name} changes[/]")
    rows = [(c.key, c.old, "→", c.new, c.why) for c in changes]
    table([("key", "recipe", "", "rehearsal", "why"), *rows], console)
    _stand_ins(small, spec, console)
    found, missed = _run(make_plan(small, runs / FOLDER), spec, console)
    _report(Report(recipe.name, changes, found, missed), runs / recipe.name, console)


def _stand_ins(recipe: Recipe, spec: RehearsalSpec, console: Console) -> None:
    """Put stand-ins where the recipe keeps what it fetches."""
    from data_builders.standins import StandIns  # not needed to plan

    with console.waiting("rendering stand-ins for the published files"):
        made = StandIns(spec.stand_ins, ROOT / recipe.data.download_dir, recipe.data.workers)
        for source in (*recipe.data.sources, *recipe.eval.benchmarks):
            if source != "held_out":
                made.write(source, (recipe.data.files or {}).get(source))


def _run(
    plan: Plan, spec: RehearsalSpec, console: Console
) -> tuple[list[Invariant], Sequence[str]]:
    """What holds and what does not once all of it has run, and what that does not cover."""
    from orchestrator.rehearse.invariants import NOT_COVERED, ONLY_GPU, invariants
    from orchestrator.rehearse.watch import Watch
    from orchestrator.run.launch import launch  # not needed to plan

    console.announce(plan, plan.stages)
    with Watch(plan.stages) as watch:
        launch(plan, plan.stages, console)
    peak = _peaks(plan, watch.peak)
    with console.waiting("looking at what must hold"):
        found = list(invariants(plan, peak, spec.stand_ins))
    on_cpu = plan.recipe.cluster.device == "cpu"
    return found, (*NOT_COVERED, *(ONLY_GPU if on_cpu else ()))


def _peaks(plan: Plan, now: Mapping[str, int]) -> dict[str, int]:
    """The most memory of each stage, `now` or when it ran for this or another rehearsal."""
    path = plan.directory.parent / PEAK
    known: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
    known |= {plan.stage(name).fingerprint: size for name, size in now.items()}
    write_file(path, json.dumps(known))
    return {s.name: known[s.fingerprint] for s in plan.stages if s.fingerprint in known}


def _report(report: Report, folder: Path, console: Console) -> None:
    report.write(folder)
    report.show(console)
    if wrong := [row.name for row in report.invariants if not row.right]:
        raise StageError(f"rehearsal of {report.recipe}: does not hold: {'; '.join(wrong)}")
    console.say(f"[bold]rehearsal[/] is in {folder / 'rehearsal.md'}")
