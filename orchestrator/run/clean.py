"""What the runs hold that no run needs, and how to be rid of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrator.run.outputs import MANIFEST

STORE, FRAMES = ".stages", ".cache/frames"
LOCK = ".lock"


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
    for stage in sorted((runs / STORE).glob("*/*")):
        if stage.resolve() not in linked:
            done = (stage / MANIFEST).is_file()
            yield _waste(stage, "no run links to it" if done else "unfinished, no run links to it")
        else:
            yield from _old_attempts(stage)
    frames = runs / FRAMES
    if caches and frames.is_dir():
        yield _waste(frames, "decoded frames; decoded again when a stage needs them")


def _linked(runs: Path) -> Iterator[Path]:
    """Stage directories that a run, or an arm of an ablation, points at."""
    for folder, names, _ in os.walk(runs):
        names[:] = [n for n in names if not n.startswith(".") or Path(folder, n).is_symlink()]
        yield from (Path(folder, n).resolve() for n in names if Path(folder, n).is_symlink())


def _old_attempts(stage: Path) -> Iterator[Waste]:
    logs = sorted((stage / "logs").glob("attempt_*.log"), key=lambda log: int(log.stem[8:]))
    yield from (_waste(log, "log of an earlier attempt") for log in logs[:-1])


def _waste(path: Path, why: str) -> Waste:
    return Waste(path, why, size(path))


def size(path: Path) -> int:
    """Bytes that removing `path` frees: files that are linked from elsewhere stay."""
    if path.is_file():
        return path.stat().st_size
    found = 0
    for folder, _, names in os.walk(path):
        for name in names:
            status = Path(folder, name).lstat()
            found += status.st_size if status.st_nlink == 1 else 0
    return found


def remove(waste: Waste) -> bool:
    """Remove it; False for a stage that another process is working on.

    The manifest goes first, so that a stage half gone is never taken for a finished one.
    """
    if waste.path.is_file():
        waste.path.unlink()
        return True
    from filelock import FileLock, Timeout  # not needed to plan

    lock = FileLock(waste.path / LOCK)
    try:
        with lock.acquire(timeout=0):
            (waste.path / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(waste.path)
    except Timeout:
        return False
    return True
