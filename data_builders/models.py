"""Checkpoints that nobody here trains: `python -m data_builders.models <config.json>`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from data_builders.fetch import fetch
from data_builders.progress import Meter, run_command
from data_builders.source_specs import Repository
from data_builders.specs import Spec
from reward_plugins.files import replacement

log = logging.getLogger(__name__)


class ModelConfig(Spec):
    """Which model goes where."""

    path: str
    """Hub id or local directory."""
    out: Path


def obtain(path: str, out: Path, meter: Meter | None = None) -> None:
    """Make `out` the checkpoint `path`: a link to a directory, or what the Hub has under the id.

    Raises `FetchError`.
    """
    directory = Path(path).expanduser()
    if not directory.is_dir():
        fetch(Repository(repo=path, kind="model"), out, meter)
        return
    with replacement(out) as link:
        link.symlink_to(directory.resolve())


def main(arguments: list[str]) -> int:
    """Read the config named on the command line and obtain; the exit status."""
    config = ModelConfig.model_validate_json(Path(arguments[0]).read_text())
    meter = Meter(config.out.parent / "progress.jsonl", f"fetching {config.path}")
    return run_command(lambda: obtain(config.path, config.out, meter))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
