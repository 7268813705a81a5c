"""What lmms-eval measured on benchmarks that are not ours.

It writes `<model>/<date>_results.json` below its output path (evaluation_tracker.py:207), with
`results` by task: `<metric>,<filter>` and `<metric>_stderr,<filter>`, and `n-samples`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.evaluation.config import EvaluationError


class Measured(NamedTuple):
    """One metric of a task, as lmms-eval prints it."""

    metric: str
    value: float
    stderr: float | None
    n: int | None
    """Questions; None where it does not tell."""


def read_results(directory: Path, checkpoint: str) -> dict[str, list[Measured]]:
    """The metrics of a checkpoint by task, from lmms-eval's newest results of it.

    `EvaluationError` where there are none, or where they are something else.
    """
    files = sorted((directory / checkpoint).glob("*/*_results.json"))
    if not files:
        raise EvaluationError(
            f"lmms-eval left no results in {directory / checkpoint}: see the log of stage external"
        )
    try:
        found = json.loads(files[-1].read_text())
        asked = found.get("n-samples", {})
        return {
            task: list(_measured(metrics, asked.get(task, {}).get("effective")))
            for task, metrics in found["results"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{files[-1]} holds no results of lmms-eval: {error!r}") from error


def _measured(metrics: dict[str, Any], n: int | None) -> Iterator[Measured]:
    for key, value in metrics.items():
        metric, _, filtered = key.partition(",")
        if not filtered or "_stderr" in metric or not isinstance(value, int | float):
            continue
        stderr = metrics.get(f"{metric}_stderr,{filtered}")
        name = metric if filtered == "none" else f"{metric} ({filtered})"
        yield Measured(name, value, stderr if isinstance(stderr, float) else None, n)
