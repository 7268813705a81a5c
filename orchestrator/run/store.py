"""The run directory: who owns a stage, when it is done, and what it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.errors import RunLockedError
from orchestrator.plan import whole
from orchestrator.plan.extra import flat
from orchestrator.plan.make import Plan
from orchestrator.plan.outputs import LACKING, MANIFEST
from orchestrator.plan.stage import Stage
from reward_plugins.files import hold, remove_abandoned, replacement, write_file

LOCK = ".lock"
RECIPE, RECIPE_SUM = "recipe.json", "recipe.sha256"
"""What a run shows, resolved, and its sum, for `sha256sum -c`."""


def is_done(stage: Stage) -> bool:
    """A stage is done when its manifest, written last, in one step, and all it lists is there."""
    return whole.is_finished(stage.directory) and not whole.faults(stage.directory)


def lacking(stage: Stage) -> list[str]:
    """What a finished stage lacks, in words: answers that an engine failed to give."""
    path = stage.directory / LACKING
    return whole.read_json(path, list) if is_done(stage) and path.is_file() else []


def reopen(plan: Plan, stage: Stage) -> None:
    """Count a finished stage, and those that read it, as not done: they go on where they ended."""
    readers = [other for other in plan.stages if other is not stage and other.reads(stage)]
    for each in (stage, *readers):
        with owned(each):
            (each.directory / MANIFEST).unlink(missing_ok=True)


def mend(stage: Stage) -> list[str]:
    """Count a stage whose files are not all there as not done; what it lacks, in words."""
    if faults := whole.faults(stage.directory):
        (stage.directory / MANIFEST).unlink()
    return faults


def write_files(stage: Stage) -> None:
    """Write the stage's configs into its directory; what a killed attempt half wrote there goes."""
    for folder, *_ in os.walk(stage.directory):
        remove_abandoned(Path(folder), seconds=0)
    for name, text in stage.files.items():
        write_file(Path(name), text)


def finish(stage: Stage, facts: dict[str, Any]) -> None:
    """Write the manifest: from here on the stage is reused."""
    manifest = {
        "stage": stage.name,
        "fingerprint": stage.fingerprint,
        "ingredients": dict(stage.ingredients),
        "commands": [asdict(command) for command in stage.commands],
        **facts,
    }
    whole.write_manifest(stage.directory, manifest)


def reuse(plan: Plan, stage: Stage) -> bool:
    """Whether the stage is done; if so the run points at it, before a cleaning can take it away."""
    with hold(_store_lock(stage), alone=False):
        if done := is_done(stage):
            show_in_run(plan, stage)
    return done


def claim(plan: Plan, stage: Stage) -> None:
    """Keep a stage that is begun from being cleaned away: the run points at it, out of sight."""
    _point(_claim(plan, stage), stage)


def show_in_run(plan: Plan, stage: Stage) -> None:
    """Point `runs/<name>/<stage>` at the stage's directory, and write the resolved recipe."""
    plan.directory.mkdir(parents=True, exist_ok=True)
    recipe = json.dumps(plan.recipe.model_dump(mode="json"), indent=2) + "\n"
    write_file(plan.directory / RECIPE, recipe)
    write_file(plan.directory / RECIPE_SUM, _sum(recipe.encode()))
    _point(plan.directory / stage.name, stage)
    _claim(plan, stage).unlink(missing_ok=True)


def recipe_fault(plan: Plan) -> str | None:
    """What is wrong with the resolved recipe of a run, in words."""
    path, sums = plan.directory / RECIPE, plan.directory / RECIPE_SUM
    if not path.is_file() or (sums.is_file() and sums.read_bytes() == _sum(path.read_bytes())):
        return None
    return f"{path} is not as the run wrote it"


def _sum(recipe: bytes) -> bytes:
    return f"{hashlib.sha256(recipe).hexdigest()}  {RECIPE}\n".encode()


def _claim(plan: Plan, stage: Stage) -> Path:
    return plan.directory / f".{stage.name}"


def _point(link: Path, stage: Stage) -> None:
    target = os.path.relpath(stage.directory, link.parent)
    if not link.is_symlink() or os.readlink(link) != target:
        with replacement(link) as fresh:
            fresh.symlink_to(target)


def stale_ingredients(plan: Plan, stage: Stage) -> list[str]:
    """What changed since the run last finished this stage; empty when nothing ran before."""
    before = _before(plan, stage)
    return changed_ingredients(before["ingredients"], stage) if before else []


def changed_keys(plan: Plan, stage: Stage) -> list[str]:
    """Keys of the recipe that differ since the run last finished this stage: `key: old -> new`."""
    if "recipe" not in (manifest := _before(plan, stage)):
        return []
    before, now = flat(manifest["recipe"]), flat(plan.recipe.model_dump(mode="json"))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [f"{key}: {before.get(key)} -> {now.get(key)}" for key in keys]


def _before(plan: Plan, stage: Stage) -> dict[str, Any]:
    """The manifest of the result that the run shows; empty where none is whole."""
    directory = plan.directory / stage.name
    if not whole.is_finished(directory) or whole.faults(directory):
        return {}
    return whole.read_manifest(directory)


def changed_ingredients(before: Mapping[str, str], stage: Stage) -> list[str]:
    """What goes into a stage now, and is not what went into it `before`."""
    names = {*before, *stage.ingredients}
    return sorted(n for n in names if before.get(n) != stage.ingredients.get(n))


@contextmanager
def owned(stage: Stage) -> Iterator[None]:
    """Hold the stage's directory alone; the kernel frees the lock of a killed process.

    Raises `RunLockedError`, which names the other process, when one is working on it.
    """
    owner = stage.directory / ".owner"
    with ExitStack() as held:
        try:
            with hold(_store_lock(stage), alone=False):  # no cleaning meanwhile
                held.enter_context(hold(stage.directory / LOCK, wait=False))
        except BlockingIOError:
            other = owner.read_text() if owner.is_file() else "another process"
            raise RunLockedError(
                f"stage {stage.name!r} in {stage.directory} is being worked on by {other}; "
                "wait for it, or stop it first"
            ) from None
        write_file(owner, f"process {os.getpid()} on {socket.gethostname()}")
        yield


def _store_lock(stage: Stage) -> Path:
    """Held by whoever begins or reuses a stage, and alone by who removes one."""
    return stage.directory.parents[1] / LOCK
