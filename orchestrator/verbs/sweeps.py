"""The verb about many recipes: one key over several values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BeforeValidator, NonNegativeInt

from orchestrator.ablate.arms import run_arms
from orchestrator.ablate.sweep import Value, expand, load_sweep
from orchestrator.console import Console
from orchestrator.errors import StageError
from orchestrator.verbs.arguments import RecipeArguments, Several, split


def _scalars(text: str) -> list[Value]:
    """`0,0.3,std` as a list of values."""
    values = [yaml.safe_load(part) for part in text.split(",") if part]
    if any(not isinstance(value, Value) or isinstance(value, bool) for value in values):
        raise ValueError("expected numbers or words with commas between them")
    return values


class AblateArguments(RecipeArguments):
    """Keys of `ablate`."""

    sweep: str | None = None
    """a name in recipes/sweep"""
    sweep_values: Annotated[tuple[Value, ...], BeforeValidator(_scalars)] = ()
    """other values: 0,0.3,std"""
    sweep_key: str | None = None
    """another key of the recipe"""
    seeds: Annotated[tuple[NonNegativeInt, ...], Several] = ()
    """each value once a seed: 0,1"""


def ablate(words: Sequence[str], console: Console) -> None:
    """Run a sweep over a recipe, and show its table beside the paper's.

    Raises `RecipeError` for a sweep that can't be, and `StageError` when arms failed, once the
    others are done and shown.
    """
    from orchestrator.report.ablation import write_ablation

    own, overrides = split("ablate", AblateArguments, words)
    sweep = load_sweep(own.sweep, own.sweep_values, own.sweep_key)
    to = own.runs_dir / f"{Path(own.recipe).stem}-ablate-{own.sweep or sweep.key}"
    arms, reference = expand(sweep, own.recipe, overrides, own.seeds, own.runs_dir, to)
    console.say(f"[bold]{sweep.key}[/]: {', '.join(sweep.labels)}  [dim]in {to}[/]")
    failed = run_arms(arms, console)
    console.out.print(write_ablation(sweep, arms, reference, failed, to))
    console.say(f"[bold]ablation[/] is in {to}")
    if failed:
        told = "\n".join(f"  {label}: {text}" for label, text in failed.items())
        raise StageError(f"{len(failed)} of {len(arms)} arms failed; run it again to retry\n{told}")
