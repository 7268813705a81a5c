"""Report a long loop's progress to a file that the launcher turns into a bar."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from reward_plugins.errors import CamReasonerError

SECONDS_BETWEEN_ROWS = 0.5
CHATTY = ("httpx2", "openai")
"""Libraries that log a line a request."""


def log_to_terminal() -> None:
    """Show what a stage's process logs, and of its HTTP clients only what went wrong."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def run_command(command: Callable[[], object]) -> int:
    """Run a stage's command; the exit status.

    What a user can mend is said in one line: with `EX_DATAERR` where the same data and the same
    recipe would end the same way, with 1 where another attempt may go better.
    """
    log_to_terminal()
    try:
        command()
    except (CamReasonerError, OSError) as error:
        logging.getLogger(__name__).error("%s", error)
        return os.EX_DATAERR if isinstance(error, ValueError) else 1
    return 0


class Meter:
    """Called with (done, total), appends `{"what", "done", "total"}` rows to a file."""

    def __init__(self, path: Path, what: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._what, self._last = path, what, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self._last < SECONDS_BETWEEN_ROWS:
            return
        self._last = now
        with self._path.open("a") as file:
            file.write(json.dumps({"what": self._what, "done": done, "total": total}) + "\n")
