"""Answer the questions: `python -m orchestrator.evaluation <config.json> here|served`.

`here` are the checkpoints that this process loads, in the environment of their engine; `served`
are those behind servers. Killed, it loses at most one batch; run again, it goes on.
"""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_builders.progress import Meter
from orchestrator.evaluation.config import EvalConfig, run_command
from orchestrator.evaluation.run import Where, evaluate

log = logging.getLogger(__name__)


def answer(config: EvalConfig, where: Where = "here") -> None:
    """Ask the checkpoints that are `where`, with a bar that shows the time left."""
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

        count = evaluate(config, where, progress)
    log.info("%d new answers in %s", count, config.answers)


if __name__ == "__main__":
    sys.exit(run_command(answer, sys.argv[1:]))
