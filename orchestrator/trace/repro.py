"""Rebuild a run from its manifests, and tell which of its files come out the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from orchestrator.console import Console
from orchestrator.errors import ReproError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.whole import few
from orchestrator.recipe import Recipe
from orchestrator.run import store as run_directory
from orchestrator.trace.record import Manifest, Record, read_record


def repro(record: Record, runs: Path, name: str, console: Console) -> None:
    """Run every finished stage of `record` again, in a store of its own below `runs/<name>`.

    Interrupted, it goes on with the next call. Raises `ReproError` where this checkout would not
    do the same: another recipe, code or lock of a stage.
    """
    from orchestrator.run.launch import launch

    recipe = Recipe.model_validate(_newest(record).get("recipe", record.recipe))
    _check(record, make_plan(recipe, runs))
    plan = make_plan(recipe, runs / name)
    stages = [stage for stage in plan.stages if stage.name in record.manifests]
    plan = Plan(recipe, plan.stages, runs / name)
    console.announce(plan, stages)
    launch(plan, stages, console)
    _tell(record, read_record(runs, name), console)


def _newest(record: Record) -> Manifest:
    if not record.manifests:
        raise ReproError(f"{record.directory} has no finished stage: there is nothing to rebuild")
    return list(record.manifests.values())[-1]


def _check(record: Record, today: Plan) -> None:
    faults = [
        f"  {stage.name}: {', '.join(changed)}"
        for stage in today.stages
        if stage.name in record.manifests and (changed := _changes(record, stage))
    ]
    if faults:
        raise ReproError(
            f"this checkout would not rebuild {record.name!r}; other than when it ran are:\n"
            + "\n".join(faults)
            + "\nGo to the code and locks that it ran with, in a work tree of its own:\n"
            + "\n".join(f"  {line}" for line in _way_back(record))
        )


def _changes(record: Record, stage: Stage) -> list[str]:
    before: dict[str, str] = record.manifests[stage.name]["ingredients"]
    return run_directory.changed_ingredients(before, stage)


def _way_back(record: Record) -> Iterator[str]:
    """Commands that lead to the code of the newest stage."""
    code = _newest(record).get("code") or {"commit": None, "dirty": False}
    if code["commit"] is None:
        yield "# its manifests name no commit: it ran outside a git checkout"
        return
    tree = f"../camreasoner-{code['commit'][:12]}"
    yield f"git worktree add {tree} {code['commit']}"
    if code["dirty"]:
        stage = list(record.manifests)[-1]
        patch = record.directory / stage / "provenance" / "code.patch"
        yield f"git -C {tree} apply {patch}"
    yield f"make -C {tree} repro RUN={record.name} ARGS=runs_dir={record.directory.parent}"


def _tell(record: Record, again: Record, console: Console) -> None:
    console.say(f"[bold]{escape(record.name)}[/] and [bold]{escape(again.name)}[/], file by file:")
    for stage in record.manifests:
        before, after = record.outputs(stage), again.outputs(stage)
        other = sorted(name for name in before if before[name] != after.get(name))
        more = sorted(after.keys() - before.keys())
        equal = len(before) - len(other)
        mark = "[yellow]•[/]" if other or more else "[green]✔[/]"
        console.say(f"{mark} {stage}: {equal:,} of {len(before):,} files equal")
        for words, names in (("differ", other), ("are new", more)):
            if names:
                console.say(f"    {words}: {escape(few(names))}")
