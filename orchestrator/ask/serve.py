"""`serve`: from a run to a page that people use until they stop it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.markup import escape

from data_builders.frame_cache import in_use
from orchestrator.ask.checkpoints import Checkpoint, find, of_run
from orchestrator.ask.desk import Desk
from orchestrator.ask.gallery import hang
from orchestrator.ask.server import AskServer
from orchestrator.console import Console
from orchestrator.plan.stage import ROOT
from orchestrator.run.launch import build_environment

if TYPE_CHECKING:
    from orchestrator.verbs.clips import ServeArguments

GALLERY = Path("runs/.cache/gallery")


def serve(own: ServeArguments, console: Console) -> None:
    """Serve a run's checkpoints, or one directory's, until interrupted."""
    chosen = find(own.model, own.recipe, own.runs_dir)
    checkpoints = side_by_side(chosen, own.runs_dir)
    if chosen.environment is not None:
        build_environment(chosen.environment, console)
    with console.waiting("rendering the gallery"):
        gallery = hang(chosen.recipe, ROOT / GALLERY)
    frames = in_use(ROOT / chosen.recipe.data.cache_dir)
    with frames, TemporaryDirectory(prefix="camreasoner-") as folder:
        desk = Desk(checkpoints, own.engine, Path(folder), gallery, ROOT / GALLERY)
        with closing(desk), AskServer(desk, own.port) as server:
            console.say(f"{', '.join(checkpoints)} of {chosen.recipe.name} can be asked at")
            if chosen.origin:
                console.say(f"[dim]prompt and frames {escape(chosen.origin)}[/]")
            console.say(f"[bold]{server.address}[/]  [dim]stop with Ctrl-C[/]")
            server.serve_until_interrupted()
            console.say("")


def side_by_side(chosen: Checkpoint, runs: Path) -> dict[str, Checkpoint]:
    """All checkpoints of the run that `chosen` belongs to, by short names."""
    run, _, _ = chosen.name.partition("/")
    if (runs / run / "recipe.json").is_file():
        own = of_run(runs / run)
        if chosen.path in [checkpoint.path for checkpoint in own.values()]:
            return own
    short = chosen.path.name if isinstance(chosen.path, Path) and not chosen.origin else chosen.name
    return {short: chosen}
