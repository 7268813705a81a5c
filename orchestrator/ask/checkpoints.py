"""Which checkpoint answers, and with which prompt and frames: those of the run that trained it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ask.errors import AskError
from orchestrator.ask.recipe import AskRecipe, named, of_the_run

BEST_FIRST = ("rl", "sft", "base")


@dataclass(frozen=True)
class Checkpoint:
    """A Hugging Face checkpoint directory and the recipe it was trained by."""

    name: str
    """`<run>/rl`, or the directory where it belongs to no run."""
    path: Path
    recipe: AskRecipe


def find(wanted: str | None, recipe: str | None, runs: Path) -> Checkpoint:
    """The checkpoint a user means.

    `wanted` is a run, `<run>/base|sft|rl`, or a directory; None is the newest trained one under
    `runs`. `recipe` names the recipe of a directory that no run here made. Raises `AskError`.
    """
    if wanted is None:
        return newest(runs)
    run, _, which = wanted.partition("/")
    if (runs / run / "recipe.json").is_file() and which in ("", *BEST_FIRST):
        own = of_run(runs / run)
        if found := next((own[n] for n in BEST_FIRST if n in own and which in ("", n)), None):
            return found
        there = ", ".join(own) or "no checkpoint yet"
        raise AskError(f"--model {wanted}: run {run!r} has {there}; make sft or make rl trains it")
    path = Path(wanted)
    _check(path, runs)
    return Checkpoint(wanted, path.resolve(), _recipe_of(path, recipe, runs))


def newest(runs: Path) -> Checkpoint:
    """The latest merged checkpoint under `runs`, or else the latest of SFT."""
    every = [own for path in _runs(runs) for own in of_run(path).items()]
    for name in ("rl", "sft"):
        if trained := [found for which, found in every if which == name]:
            return max(trained, key=lambda found: found.path.stat().st_mtime)
    raise AskError(
        f"no trained checkpoint under {runs}: run `make demo` (about 15 minutes, no GPU) or "
        "`make run RECIPE=<name>`, or name a checkpoint's directory with --model"
    )


def of_run(run: Path) -> dict[str, Checkpoint]:
    """What a run has trained so far, by `base`, `sft` and `rl`."""
    recipe = of_the_run(run)
    places = {
        "base": run / "model" / "checkpoint",
        "sft": run / "sft" / recipe.rl.sft_checkpoint.replace(":", "-"),
        "rl": run / "merge" / "checkpoint",
    }
    return {
        name: Checkpoint(f"{run.name}/{name}", path.resolve(), recipe)
        for name, path in places.items()
        if (path / "config.json").is_file()
    }


def _runs(runs: Path) -> Iterator[Path]:
    return (path.parent for path in sorted(runs.glob("*/recipe.json")))


def _recipe_of(path: Path, recipe: str | None, runs: Path) -> AskRecipe:
    """The named recipe, or that of the run which made the directory."""
    if recipe is not None:
        return named(recipe)
    for run in _runs(runs):
        made = [(run / stage).resolve() for stage in ("model", "sft", "merge")]
        if any(path.resolve().is_relative_to(stage) for stage in made):
            return of_the_run(run)
    raise AskError(
        f"--model {path}: no run under {runs} made it; name the recipe whose prompt and frames it "
        "was trained with, e.g. --recipe camreasoner_7b"
    )


def _check(path: Path, runs: Path) -> None:
    if not path.is_dir():
        known = ", ".join(run.name for run in _runs(runs)) or "none yet"
        raise AskError(f"--model {path}: neither a directory nor a run under {runs} ({known})")
    if not (path / "config.json").is_file():
        raise AskError(
            f"--model {path}: holds no config.json; name the directory of a Hugging Face "
            "checkpoint, such as runs/<run>/merge/checkpoint"
        )
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        raise AskError(f"--model {path}: holds no weights (*.safetensors or *.bin)")
