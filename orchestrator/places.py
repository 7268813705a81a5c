"""Where things lie, in a checkout and where the wheel is installed."""

from __future__ import annotations

import os
from pathlib import Path

CODE = Path(__file__).resolve().parents[1]
"""Holds our packages: a checkout, or an installation's site-packages."""
CHECKOUT = (CODE / "pyproject.toml").is_file()
ROOT = CODE if CHECKOUT else Path.cwd()
"""Where we work: environments, caches and a user's relative paths are below it."""
RECIPES, LOCKS = (
    Path(__file__).with_name("share").joinpath(name).resolve() for name in ("recipes", "envs")
)
PACKAGES = ("orchestrator", "data_builders", "reward_plugins")


def import_path() -> Path:
    """A folder with our packages and nothing else, for the `PYTHONPATH` of other environments.

    In site-packages other packages lie beside ours, which would hide those of the environment.
    """
    if CHECKOUT:
        return CODE
    folder = ROOT / ".envs" / "code"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        fresh = folder / f".{name}.{os.getpid()}"
        fresh.symlink_to(CODE / name)
        fresh.replace(folder / name)
    return folder
