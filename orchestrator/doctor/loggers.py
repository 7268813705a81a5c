"""Whether the loggers of a recipe are installed where they are used, and will be online."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.doctor.machine import Verdict
from orchestrator.places import LOCKS
from orchestrator.plan.loggers import unavailable
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import Stage

REQUIREMENTS = {"swanlab": "swanlab<0.8"}
"""Later ones refuse `get_run` before `init`, which transformers 5.6 calls."""
CONFLICTS = {
    ("sft", "trackio"): (
        "LLaMA-Factory 0.9.5 needs gradio 5 and trackio gradio 6: use it where RL alone runs "
        "(stages.rl.start=base), or "
    )
}
"""What can't be installed together, by environment and logger, and what to do about it."""


def loggers(plan: Plan, locks: Path = LOCKS) -> Iterator[Verdict]:
    """One verdict a missing package, one a service that is out of reach."""
    for fault in missing(plan, plan.stages, locks):
        yield False, fault
    for name, why in unavailable(plan.recipe.loggers):
        yield None, f"loggers: {name} will log offline: {why}"


def missing(plan: Plan, stages: Iterable[Stage], locks: Path = LOCKS) -> Iterator[str]:
    """Loggers that the environments of `stages`, where those train, lack."""
    for environment in _environments(stages):
        lock = (locks / f"{environment}.txt").read_text()
        for name in plan.recipe.loggers:
            if not re.search(rf"^{name}==", lock, re.MULTILINE):
                line = REQUIREMENTS.get(name, name)
                mend = f"add a line `{line}` to envs/{environment}.in and run `make lock`, or "
                mend = CONFLICTS.get((environment.removesuffix("-gpu"), name), mend)
                yield f"loggers: {name} is not in environment {environment}; {mend}leave it out"


def _environments(stages: Iterable[Stage]) -> list[str]:
    """What the trainers run in; our own environment has none."""
    return [*dict.fromkeys(stage.training.environment for stage in stages if stage.training)]
