"""Print a plan, and write every file of it where a user can read it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator.console import Console
from orchestrator.doctor.estimate import views
from orchestrator.envs import interpreter
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import ROOT, Command, Stage
from orchestrator.recipe import Recipe
from orchestrator.recipe.deviations import deviations
from reward_plugins.files import remove, write_file

COMMANDS = "commands.sh"


def show_plan(plan: Plan, target: Path, console: Console) -> None:
    """Write the stages' files below `target`, and print them with their commands."""
    for earlier in target.glob(f"*/{COMMANDS}"):  # the folder may hold files of the user's too
        remove(earlier.parent)
    for stage in plan.stages:
        console.say(f"\n[bold cyan]{stage.name}[/]  [dim]{stage.directory}[/]")
        wanted = stage.resources
        console.say(
            f"  reserves {wanted.cpus} CPUs, {wanted.gpus} GPUs"
            + (f" on each of {wanted.nodes} nodes" if wanted.nodes > 1 else "")
            + (f" on {wanted.pin}" if wanted.pin else "")
        )
        for name, text in stage.files.items():
            path = target / stage.name / Path(name).relative_to(stage.directory)
            write_file(path, text)
            console.say(f"  [bold]file[/] {path.relative_to(plan.directory.parent)}")
            console.text(text, indent=4)
        for line, command in zip(command_lines(stage), stage.commands, strict=True):
            console.say(f"  [bold]command[/]{_where(command)}")
            console.text(line, indent=4)
        write_file(target / stage.name / COMMANDS, "\n".join(command_lines(stage)) + "\n")


def _where(command: Command) -> str:
    told = "with its NODE_RANK, and MASTER_ADDR and MASTER_PORT of the first"
    return f" on each of {command.nodes} nodes, {told}" if command.nodes > 1 else ""


def show_deviations(recipe: Recipe, console: Console) -> None:
    """Print where the recipe differs from the paper or its released code, value by value."""
    console.say("\n[bold cyan]beside the paper and its released code[/]")
    table([("key", "here", "paper", "released code"), *deviations(recipe)], console)


def show_views(recipe: Recipe, console: Console) -> None:
    """Print what each stage sees of a usual clip, where that is not the same for all."""
    seen = views(recipe)
    if len({view[1:] for view in seen}) == 1:
        return
    console.say("\n[bold cyan]stages see a usual clip differently[/]")
    rows = [
        (v.stage, f"{v.fps:g}", f"{v.frames}", f"{v.pixels:,}", f"{v.tokens:,}", v.media)
        for v in seen
    ]
    names = ("stage", "fps", "frames", "pixels a frame", "visual tokens", "as")
    table([names, *rows], console)


def table(rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print rows of cells, each column as wide as its widest."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        console.text("  ".join(cells).rstrip(), indent=2)


def command_lines(stage: Stage) -> list[str]:
    """The stage's commands as a shell would take them."""
    return [
        " ".join(
            [
                *(f"{key}={shlex.quote(value)}" for key, value in command.environ.items()),
                _short(interpreter(command.environment)),
                *map(shlex.quote, command.argv),
            ]
        )
        for command in stage.commands
    ]


def _short(path: Path) -> str:
    """Relative to where we work, if it lies there."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
