"""What the processes of a stage that stands still are at: one py-spy dump each, in one file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

DUMP_SECONDS = 20
PY_SPY = Path(sys.executable).with_name("py-spy")


def supervised(argv: Sequence[str]) -> list[psutil.Process]:
    """The process tree of the command that a supervisor started with `argv` runs.

    The supervisor's keeper has left its parent, but keeps its command line and directory.
    """
    keepers = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == list(argv)]
    return [child for keeper in keepers for child in keeper.children(recursive=True)]


def ray_workers() -> list[psutil.Process]:
    """The workers of Ray on this node, where verl computes; asked from within one of them."""
    raylet = psutil.Process().parent()
    found = raylet.children(recursive=True) if raylet is not None else []
    return [p for p in found if p.pid != psutil.Process().pid and p.name().startswith("ray::")]


def dump(path: Path, processes: Sequence[psutil.Process]) -> None:
    """Write the stacks of `processes` to `path`; py-spy's own words where it can't."""
    with path.open("w") as file:
        for process in processes:
            file.write(f"== {process.pid} {_title(process)}\n{_stacks(process.pid)}\n")


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:200]
    except psutil.Error as error:
        return f"({error})"


def _stacks(pid: int) -> str:
    command = [str(PY_SPY), "dump", "--pid", str(pid)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DUMP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"py-spy got no answer within {DUMP_SECONDS} s"
    return done.stdout + done.stderr
