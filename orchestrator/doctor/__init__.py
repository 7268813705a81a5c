"""What is checked before a stage starts.

The `parse_*` modules run in a trainer's own environment and hand a rendered config to that
trainer's own parser, without a GPU, the network or any other file of the run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import TracebackType


def report(parse: Callable[[str], list[str]]) -> None:
    """Run `parse` on the file named on the command line, and say how it went.

    The last line of standard output is `{"error": text or null, "notes": [...]}`. Whatever a
    trainer's parser raises is the error: each has exceptions of its own, so none is caught; the
    traceback goes to standard error and the process exits with 1.
    """
    sys.excepthook = _say_error
    _say(None, parse(sys.argv[1]))


def _say_error(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    sys.__excepthook__(kind, error, trace)
    _say(f"{kind.__name__}: {str(error).strip()}", [])


def _say(error: str | None, notes: list[str]) -> None:
    sys.stdout.flush()
    sys.stdout.write(json.dumps({"error": error, "notes": notes}) + "\n")
