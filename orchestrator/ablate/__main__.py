"""`python -m orchestrator.ablate <arm.json>` runs one arm in a process of its own."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

from orchestrator.ablate.arms import LAST
from orchestrator.console import Console
from orchestrator.plan.make import make_plan
from orchestrator.recipe import Recipe
from orchestrator.run.launch import launch


def main(path: str) -> None:
    """Run the arm that the JSON file at `path` describes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it started ends with it
    config = json.loads(Path(path).read_text())
    made = make_plan(Recipe.model_validate(config["recipe"]), Path(config["runs"]))
    plan = replace(made, directory=Path(config["directory"]))
    launch(plan, plan.until(LAST), Console())


if __name__ == "__main__":
    main(sys.argv[1])
