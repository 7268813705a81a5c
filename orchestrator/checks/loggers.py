"""Whether the loggers of a recipe are installed where they are used, and will be online."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.checks.machine import Verdict
from orchestrator.loggers import unavailable
from orchestrator.plan import Plan
from orchestrator.stage import ROOT

TRAINED = ("sft", "rl")


def loggers(plan: Plan, locks: Path = ROOT / "envs") -> Iterator[Verdict]:
    """One verdict a missing package, one a service that is out of reach."""
    wanted: tuple[str, ...] = plan.recipe.loggers
    for environment in _environments(plan):
        lock = (locks / f"{environment}.txt").read_text()
        for name in wanted:
            if not re.search(rf"^{name}==", lock, re.MULTILINE):
                yield (
                    False,
                    (
                        f"loggers: {name} is not in environment {environment}; add a line `{name}` "
                        f"to envs/{environment}.in and run `make lock`, or leave it out"
                    ),
                )
    for name, why in unavailable(wanted):
        yield None, f"loggers: {name} will log offline: {why}"


def _environments(plan: Plan) -> list[str]:
    """What the training commands run in."""
    stages = (stage for stage in plan.stages if stage.name in TRAINED)
    return [*dict.fromkeys(stage.commands[-1].environment for stage in stages)]
