"""Answer the held-out questions: `python -m orchestrator.evaluation <config.json>`.

Runs in the environment of the engine. Killed, it loses at most one batch; run again, it goes on.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_builders.progress import Meter
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.run import evaluate
from reward_plugins.errors import CamReasonerError

log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Evaluate as the config named on the command line says; 1 where it can't be done."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = EvalConfig.model_validate_json(Path(arguments[0]).read_text())
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

        try:
            count = evaluate(config, progress)
        except (CamReasonerError, OSError) as error:
            log.error("%s", error)
            return 1
    log.info("%d answers in %s", count, config.predictions)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
