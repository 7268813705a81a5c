"""Answer the held-out questions: `python -m orchestrator.evaluation <config.json>`.

Runs in the environment of the engine. Killed, it loses at most one batch; run again, it goes on.
"""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_builders.progress import Meter
from orchestrator.evaluation.config import EvalConfig, run_command
from orchestrator.evaluation.run import evaluate

log = logging.getLogger(__name__)


def answer(config: EvalConfig) -> None:
    """Evaluate as `config` says, with a bar that shows the time left."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    meter = Meter(config.out / "progress.jsonl", "answering")
    # A bar in a terminal; elsewhere the launcher draws one from the meter's file.
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("loading", total=None)

        def progress(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"asking {name}", completed=done, total=total)
            meter(done, total)

        count = evaluate(config, progress)
    log.info("%d answers in %s", count, config.predictions)


if __name__ == "__main__":
    sys.exit(run_command(answer, sys.argv[1:]))
