"""Time a make target in a fresh clone: `python -m bench.bench_demo demo|test [folder]`.

The clone is made in `folder` and stays there, or in a temporary folder that goes afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import psutil

from bench.figures import figure, say
from orchestrator.plan.stage import ROOT


def main(target: str, folder: str | None = None) -> None:
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as parent:
        clone = Path(parent) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        started, before = time.perf_counter(), psutil.virtual_memory().available
        process = subprocess.Popen(["make", target], cwd=clone)
        least = before
        while process.poll() is None:
            least = min(least, psutil.virtual_memory().available)
            time.sleep(0.5)
        minutes = (time.perf_counter() - started) / 60
        say(f"make {target} from a fresh clone: exit code {process.returncode}")
        figure(f"make {target} (bound: 20 min)", minutes, "min")
        figure(f"make {target}: peak memory (bound: 12 GiB)", (before - least) / 2**30, "GiB")
        for manifest in sorted(clone.glob("runs/tiny/*/manifest.json"), key=_started):
            facts = json.loads(manifest.read_text())
            say(f"  {facts['stage']:8} {facts['seconds']:6.0f} s")


def _started(manifest: Path) -> float:
    return float(json.loads(manifest.read_text())["started"])


if __name__ == "__main__":
    main(*sys.argv[1:])
