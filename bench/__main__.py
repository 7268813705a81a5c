"""Every measured number: `make bench`, or some of them: `make bench BENCH="reward plan"`.

Those of `LONG` take up to 20 minutes each and run only when named. Figures stand beside the stored
ones (`bench/figures.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys

from bench.figures import say
from orchestrator.envs import interpreter
from orchestrator.plan.stage import ROOT

ENVIRONMENT = {
    "reward": "orchestrator",
    "plan": "orchestrator",
    "frames": "orchestrator",
    "data": "orchestrator",
    "score": "orchestrator",
    "statistics": "orchestrator",
    "eval": "eval",
    "overhead": "orchestrator",
    "demo": "orchestrator",
    "kills": "orchestrator",
    "damage": "orchestrator",
    "points": "orchestrator",
    "repeat": "orchestrator",
    "test": "orchestrator",
}
LONG = ("demo", "test", "kills", "damage", "points", "repeat")


def main(names: list[str]) -> int:
    """Run the named benches, each in its environment; the number of those that failed."""
    failed = 0
    for name in names or [name for name in ENVIRONMENT if name not in LONG]:
        say(f"\n== {name}")
        module = ["bench.bench_demo", name] if name in ("demo", "test") else [f"bench.bench_{name}"]
        command = [str(interpreter(ENVIRONMENT[name])), "-m", *module]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        failed += subprocess.run(command, cwd=ROOT, env=environ).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
