"""Hand every rendered config to its trainer's own parser, in that trainer's environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator import envs
from orchestrator.doctor.machine import Verdict
from orchestrator.places import ROOT, import_path
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import Command, Stage

SECONDS = 300
PREFIX = "orchestrator.doctor."


def parsed(plan: Plan) -> Iterator[Verdict]:
    """One verdict a stage that begins with a check of its config; nothing of the run is touched."""
    with tempfile.TemporaryDirectory() as scratch:
        for stage in plan.stages:
            check = stage.commands[0]
            if check.argv[1].startswith(PREFIX):
                yield _parse(stage, check, Path(scratch) / stage.name)


def _parse(stage: Stage, check: Command, scratch: Path) -> Verdict:
    parser = check.argv[1].removeprefix(f"{PREFIX}parse_")
    name = _environment(check)
    if name is None:
        wanted = check.environment
        return None, f"{stage.name}: not parsed by {parser}, environment {wanted} is not installed"
    for path, text in stage.files.items():
        target = Path(path.replace(str(stage.directory), str(scratch)))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace(str(stage.directory), str(scratch)))
    argv = [part.replace(str(stage.directory), str(scratch)) for part in check.argv]
    error, notes = _run([str(envs.interpreter(name)), *argv])
    if error:
        return False, f"{stage.name}: {parser} refuses its config: {error}"
    told = f" ({'; '.join(notes)})" if notes else ""
    return True, f"{stage.name}: {parser} takes its config{told}"


def _environment(check: Command) -> str | None:
    """The check's environment, or the one for CPUs with the same trainer, whichever is there."""
    names = dict.fromkeys([check.environment, check.environment.removesuffix("-gpu")])
    return next((name for name in names if envs.is_ready(name)), None)


def _run(argv: list[str]) -> tuple[str | None, list[str]]:
    """The parser's error, and what it could not check on this machine."""
    environ = {**os.environ, "PYTHONPATH": str(import_path()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        argv, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if not last.startswith('{"error"'):
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        return f"exit code {done.returncode}\n{tail}", []
    said = json.loads(last)
    return said["error"], said["notes"]
