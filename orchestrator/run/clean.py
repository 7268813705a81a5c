"""What the runs hold that no run needs, and how to be rid of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from data_builders.frame_cache import is_ours
from orchestrator.plan.outputs import MANIFEST
from orchestrator.plan.whole import is_finished
from orchestrator.run import attempts
from orchestrator.run.store import LOCK
from reward_plugins import files
from reward_plugins.files import hold

STORE, FRAMES = ".stages", ".cache/frames"


class Waste(NamedTuple):
    """Something that can go."""

    path: Path
    why: str
    bytes: int


def find_waste(runs: Path, caches: bool) -> Iterator[Waste]:
    """Stages that no run links to, logs of attempts before the last, and `caches` if wanted.

    Downloads and paid replies are never among it, nor a stage that is being worked on.
    """
    linked = set(_linked(runs))
    for stage in sorted(filter(_is_stage, (runs / STORE).glob("*/*"))):
        if stage.resolve() not in linked:
            done = is_finished(stage)
            yield _waste(stage, "no run links to it" if done else "unfinished, no run links to it")
        else:
            yield from _old_attempts(stage)
    frames = runs / FRAMES
    if caches and is_ours(frames):
        yield _waste(frames, "decoded frames; decoded again when a stage needs them")


def _is_stage(path: Path) -> bool:
    """Whether it was made here: by its name, and by what every stage has."""
    made = (path / LOCK, path / MANIFEST)
    return re.fullmatch(r"[0-9a-f]{16}", path.name) is not None and any(p.is_file() for p in made)


def _linked(runs: Path) -> Iterator[Path]:
    """Stage directories that a run, or an arm of an ablation, points at."""
    for folder, names, _ in os.walk(runs):
        names[:] = [n for n in names if not n.startswith(".") or Path(folder, n).is_symlink()]
        for link in (Path(folder, name) for name in names):
            if link.is_symlink():
                with suppress(FileNotFoundError):  # a run has just replaced it
                    yield link.resolve()


def _old_attempts(stage: Path) -> Iterator[Waste]:
    yield from (_waste(log, "log of an earlier attempt") for log in attempts.logs(stage)[:-1])


def _waste(path: Path, why: str) -> Waste:
    return Waste(path, why, size(path))


def size(path: Path) -> int:
    """Bytes that removing `path` frees: files that are linked from elsewhere stay."""
    if path.is_file():
        return path.stat().st_size
    found = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):  # another process is at work there
                status = Path(folder, name).lstat()
                found += status.st_size if status.st_nlink == 1 else 0
    return found


def remove(runs: Path, waste: Waste) -> str | None:
    """Remove it; why not, where it is in use meanwhile. Nobody ever sees a half of it."""
    if waste.path.is_file():
        files.remove(waste.path)
        return None
    trash = waste.path.with_name(f".{uuid4().hex}.partial")
    try:
        with hold(runs / STORE / LOCK):
            if not waste.path.is_dir():
                return None  # another cleaning was faster
            with hold(waste.path / LOCK, wait=False):
                if waste.path.resolve() in _linked(runs):
                    return "a run uses it now"
                os.replace(waste.path, trash)
    except BlockingIOError:
        return "another process is working with it"
    files.remove(trash)
    return None
