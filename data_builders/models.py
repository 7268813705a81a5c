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
    revision: str = "main"
    """Of a Hub id: a commit, or a branch, which is followed at the first fetch only."""
    out: Path


def obtain(model: ModelConfig, meter: Meter | None = None) -> None:
    """Make `model.out` the checkpoint: a link to a directory, or what the Hub has under the id.

    Raises `FetchError`.
    """
    out, directory = model.out, Path(model.path).expanduser()
    if not directory.is_dir():
        repository = Repository(repo=model.path, revision=model.revision, kind="model")
        fetch(repository, out, meter)
        return
    with replacement(out) as link:
        link.symlink_to(directory.resolve())


def main(arguments: list[str]) -> int:
    """Read the config named on the command line and obtain; the exit status."""
    config = ModelConfig.model_validate_json(Path(arguments[0]).read_text())
    meter = Meter(config.out.parent / "progress.jsonl", f"fetching {config.path}")
    return run_command(lambda: obtain(config, meter))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
