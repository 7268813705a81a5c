"""Time `plan`, from the command to its end: `python -m bench.bench_plan`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from bench.figures import figure
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import recipe_names

RUNS = 5


def main() -> None:
    for name in recipe_names():
        with tempfile.TemporaryDirectory() as runs:
            command = [sys.executable, "-m", "orchestrator", "plan", f"recipe={name}"]
            times = [timed([*command, f"runs_dir={runs}"]) for _ in range(RUNS)]
        figure(f"plan {name}, median", sorted(times)[RUNS // 2], "s")
        figure(f"plan {name}, best", min(times), "s")


def timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
