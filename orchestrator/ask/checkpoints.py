"""Which checkpoint answers, and with which prompt and frames: those of the run that trained it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ask.errors import AskError
from orchestrator.ask.recipe import AskRecipe, by_name, of_the_run
from orchestrator.evaluation.config import Server
from orchestrator.recipe.policy import BASE
from orchestrator.run import policies


@dataclass(frozen=True)
class Checkpoint:
    """A Hugging Face checkpoint directory and the recipe it was trained by."""

    name: str
    """`<run>/<policy>`; where it belongs to no run, the directory, Hub id or server."""
    path: Path | Server
    recipe: AskRecipe
    origin: str = ""
    """Whose prompt and frames these are, where that is not the run's that trained it."""

    @property
    def environment(self) -> str | None:
        """Where it answers; None for a server's."""
        return None if isinstance(self.path, Server) else self.recipe.environment


def find(wanted: str | None, recipe: str | None, runs: Path) -> Checkpoint:
    """The checkpoint a user means.

    `wanted` is a run, `<run>/<policy>`, a directory, a Hub id or a server's address; None is the
    newest trained one under `runs`. `recipe` names the recipe of what no run here made. Raises
    `AskError`.
    """
    from orchestrator.ask.released import HUB_ID, of_hub
    from orchestrator.ask.served import of_server

    if wanted is None:
        return newest(runs)
    if wanted.startswith(("http://", "https://")):
        return of_server(wanted, recipe)
    run, _, policy = wanted.partition("/")
    if (runs / run / "recipe.json").is_file():
        return _of_run(runs / run, policy)
    path = Path(wanted)
    if HUB_ID.fullmatch(wanted) and not path.exists() and not (runs / run).exists():
        return of_hub(wanted, recipe)
    _check(path, runs)
    return Checkpoint(wanted, path.resolve(), _recipe_of(path, recipe, runs))


def _of_run(run: Path, policy: str) -> Checkpoint:
    """The policy of a run, or the one that it trained last."""
    own = of_run(run)
    there = ", ".join(own) or "no checkpoint yet"
    if not policy and own:
        return list(own.values())[-1]
    try:
        path = policies.place(run, policy)
    except ValueError as error:
        raise AskError(f"model={run.name}/{policy}: {error}; there: {there}") from None
    if not (path / "config.json").is_file():
        raise AskError(f"model={run.name}/{policy}: run {run.name!r} has {there}; train it first")
    return Checkpoint(f"{run.name}/{policy}", path.resolve(), of_the_run(run))


def newest(runs: Path) -> Checkpoint:
    """The policy that was trained last under `runs`, as far into its recipe as any."""
    every = [list(of_run(path).items()) for path in _runs(runs)]
    last = [own[-1][1] for own in every if own and own[-1][0] != BASE]
    if last:
        return max(last, key=lambda found: Path(str(found.path)).stat().st_mtime)
    raise AskError(
        f"no trained checkpoint under {runs}: run `make demo` (about 15 minutes, no GPU) or "
        "`make run RECIPE=<name>`, or name a checkpoint's directory with model="
    )


def of_run(run: Path) -> dict[str, Checkpoint]:
    """What a run has trained so far, by the policies' names, the last one at the end."""
    recipe = of_the_run(run)
    return {
        name: Checkpoint(f"{run.name}/{name}", path.resolve(), recipe)
        for name, path in policies.trained(run, recipe.model_dump()).items()
    }


def _runs(runs: Path) -> Iterator[Path]:
    return (path.parent for path in sorted(runs.glob("*/recipe.json")))


def _recipe_of(path: Path, recipe: str | None, runs: Path) -> AskRecipe:
    """The named recipe, or that of the run which made the directory."""
    if recipe is not None:
        return by_name(recipe)
    for run in _runs(runs):
        made = [(run / stage).resolve() for stage in ("model", *of_the_run(run).stages)]
        if any(path.resolve().is_relative_to(stage) for stage in made):
            return of_the_run(run)
    raise AskError(
        f"model={path}: no run under {runs} made it; name the recipe whose prompt and frames it "
        "was trained with, e.g. recipe=camreasoner_7b"
    )


def _check(path: Path, runs: Path) -> None:
    if not path.is_dir():
        known = ", ".join(run.name for run in _runs(runs)) or "none yet"
        raise AskError(
            f"model={path}: neither a directory, a Hub id, a server's address, nor a run under "
            f"{runs} ({known})"
        )
    if not (path / "config.json").is_file():
        raise AskError(
            f"model={path}: holds no config.json; name the directory of a Hugging Face "
            "checkpoint, such as runs/<run>/rl/last"
        )
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        raise AskError(f"model={path}: holds no weights (*.safetensors or *.bin)")
