"""The verb that tries a recipe in small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from orchestrator.console import Console
from orchestrator.verbs.arguments import RecipeArguments, split


class RehearseArguments(RecipeArguments):
    """Keys of `rehearse`."""

    device: Literal["cpu", "cuda"] = Field("cpu", alias="rehearsal.device")
    """cuda keeps flash attention, CUDA graphs and sleep mode too, on one GPU (cpu)"""


def rehearse(words: Sequence[str], console: Console) -> None:
    """The recipe in small through all that it names, with a table of what must hold."""
    from orchestrator.rehearse.verb import rehearse as run

    own, overrides = split("rehearse", RehearseArguments, words)
    run(own.recipe, overrides, own.device, own.runs_dir, console)
