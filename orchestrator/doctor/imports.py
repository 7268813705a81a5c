"""Whether the environments of a plan are there, and load what only GPUs need."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator import envs
from orchestrator.doctor.machine import Verdict
from orchestrator.plan.make import Plan

IMPORTS = {
    "sft-gpu": ("deepspeed",),
    "rl-gpu": ("flash_attn", "vllm"),
    "easyr1-gpu": ("flash_attn", "vllm"),
    "eval-gpu": ("vllm",),
}
"""Native code, which can be installed and still not load."""


def environments(plan: Plan) -> Iterator[Verdict]:
    """A verdict an environment."""
    for name in dict.fromkeys(c.environment for stage in plan.stages for c in stage.commands):
        if not envs.is_ready(name):
            yield None, f"environment {name}: to be installed"
        elif lacking := unimportable(envs.interpreter(name), IMPORTS.get(name, ())):
            yield False, f"environment {name}: {lacking}"
        else:
            yield True, " and ".join([f"environment {name}: installed", *IMPORTS.get(name, ())])


def unimportable(python: Path, modules: Sequence[str]) -> str | None:
    """Why the interpreter can't import one of `modules`; None where it can."""
    for module in modules:
        command = [str(python), "-c", f"import {module}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return f"`import {module}` fails: {why}; remove {python.parents[1]}, then make setup"
    return None
