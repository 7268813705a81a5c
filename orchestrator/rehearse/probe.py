"""Ask a stage's own environment what only it can tell."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from orchestrator import envs
from orchestrator.errors import StageError
from orchestrator.places import import_path
from orchestrator.plan.context import VLLM_ON_CPU
from orchestrator.plan.make import Plan

FOUND = "FOUND "


def numbering(plan: Plan, name: str) -> dict[str, Any]:
    """How far the numberings of the stage's first prompts are apart: `furthest`, `prompts`."""
    stage, recipe = plan.stage(name), plan.recipe
    questions = plan.stage("data").directory / f"{recipe.stages[name].questions}.parquet"
    checkpoint = plan.stage("model").directory / "checkpoint"
    arguments = (questions, stage.directory / "data" / "frames.json", checkpoint)
    environment = next(c.environment for c in plan.stage("eval").commands if "here" in c.argv)
    command = [str(envs.interpreter(environment)), "-m", "orchestrator.rehearse.numbering"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env={**os.environ, **VLLM_ON_CPU, "PYTHONPATH": str(import_path()), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith(FOUND)]
    if not found:
        tail = "\n".join(done.stderr.splitlines()[-8:])
        raise StageError(f"orchestrator.rehearse.numbering ({environment}) found nothing:\n{tail}")
    result: dict[str, Any] = json.loads(found[0].removeprefix(FOUND))
    return result
