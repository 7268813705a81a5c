"""Which stages of a plan are done, why one is stale, and whether all that they left is whole."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape

from orchestrator.console import Console
from orchestrator.plan import whole
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import Stage
from orchestrator.run import store

AGAIN = "its next run goes on from what is there"


def show_status(plan: Plan, console: Console, deep: bool = False) -> None:
    """Print which stages are done. `deep` reads every file, names those that are not as they were
    left, and raises `DamageError` when there are some.
    """
    total = 0
    for stage in plan.stages:
        damage = [*whole.damage(stage.directory)] if deep else []
        for line in _lines(plan, stage, bool(damage)):
            console.say(line)
        for text in damage:
            console.say(f"    [red]{escape(text)}[/]")
        total += len(damage)
    if deep and (fault := store.recipe_fault(plan)):
        console.say(f"[red]✘ {escape(fault)}[/]")
        total += 1
    if total:
        raise whole.DamageError(
            f"{total} of the files of run {plan.recipe.name!r} are not as they were left: remove "
            "what is named above, and `make run` makes again what a stage needs"
        )


def lacking(stage: Stage, sentence: str) -> str:
    """What a finished stage lacks, and how to get it."""
    return f"[yellow]{escape(sentence)}; `make {stage.name}` again asks only for those[/]"


def _lines(plan: Plan, stage: Stage, is_damaged: bool) -> Iterator[str]:
    directory = stage.directory
    if faults := whole.faults(directory):
        yield f"[red]✘ {stage.name}[/]  not whole; {AGAIN}: {escape(whole.few(faults))}"
    elif whole.is_finished(directory):
        mark = "[red]✘" if is_damaged else "[green]✔"
        yield f"{mark} {stage.name}[/]  done, fingerprint {stage.fingerprint}"
        for sentence in store.lacking(stage):
            yield f"    {lacking(stage, sentence)}"
        if names := [*whole.modified(directory)]:
            shown = escape(whole.few(names))
            yield f"    [yellow]changed since; what reads it runs again: {shown}[/]"
    elif changed := store.stale_ingredients(plan, stage):
        yield f"[yellow]• {stage.name}[/]  stale: changed {escape(', '.join(changed))}"
        for key in store.changed_keys(plan, stage):
            yield f"    [dim]{escape(key)}[/]"
    else:
        yield f"• {stage.name}  not run yet"
