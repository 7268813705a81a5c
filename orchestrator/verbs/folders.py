"""Where runs are: the one place that takes `runs_dir=` from a user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from orchestrator.errors import RecipeError

RUNS = "runs"
"""Where nothing else is named."""
ELSEWHERE = "name another folder (runs_dir=), or mend that one"


def runs_directory(name: str) -> Path:
    """The folder `name`, absolute; `RecipeError` where no folder is or can be. It is not made."""
    if not name:
        raise RecipeError(f"runs_dir= is empty: name a folder, or leave it out for {RUNS}")
    try:
        path = Path(os.path.realpath(name))
        there = next(p for p in (path, *path.parents) if p.exists() or p.is_symlink())
        if there != path:
            with tempfile.TemporaryDirectory(dir=there, prefix=".camreasoner-"):
                return path
        os.scandir(path).close()
    except OSError as error:
        raise RecipeError(f"runs_dir={name}: {error.strerror}: {ELSEWHERE}") from error
    return path
