"""From a finished data stage to a page that people use until they stop it."""

from __future__ import annotations

from pathlib import Path

from data_builders.sample import read_samples
from orchestrator.console import Console
from orchestrator.recipe import Recipe
from orchestrator.review.queue import Queue, draw
from orchestrator.review.server import ReviewServer
from orchestrator.review.summary import lines
from reward_plugins.errors import CamReasonerError


class NothingToReviewError(CamReasonerError, ValueError):
    """Data without a trajectory."""


def serve(recipe: Recipe, data: Path, folder: Path, console: Console) -> None:
    """Serve the page for the trajectories under `data` until interrupted; `folder` keeps verdicts.

    Raises `NothingToReviewError`, or `PageError` for a port that is taken.
    """
    samples = draw(read_samples(data / "sft.parquet"), recipe.review.sample, recipe.seed)
    if not samples:
        raise NothingToReviewError(
            f"{data}/sft.parquet holds no trajectories: name a teacher in data.trajectories, or "
            "add synthetic to data.sources"
        )
    with ReviewServer(Queue(samples, data, recipe.frames), folder, recipe.review.port) as server:
        console.say(f"{len(samples)} trajectories to review at [bold]{server.address}[/]")
        console.say(f"[dim]Verdicts are kept in {folder}; stop with Ctrl-C, any time.[/]")
        server.serve_until_interrupted()
        for line in ("", *lines(server.summary())):
            console.say(line)
