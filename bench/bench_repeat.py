"""Whether training repeats itself: `python -m bench.bench_repeat [times] [key=value ...]`.

Reinforces the same short run again and again, by one seed, and compares every metric but the times
to the last digit. A response that got lost, and all that follows from it, shows here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figures import figure, say
from orchestrator.plan.stage import ROOT
from tests.integration.test_kills import differing_metrics
from tests.integration.test_pipeline import SHORT


def main(times: str = "5", *overrides: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = [once(Path(folder), number, overrides) for number in range(int(times))]
        differ = [differing_metrics(runs[0], run) for run in runs[1:]]
    for number, names in enumerate(differ, 2):
        say(f"  run {number}: {', '.join(names) or 'equal to the first'}")
    figure(f"repeat: runs of {times} that differ from the first", sum(map(bool, differ)), "runs")
    if any(differ):
        raise SystemExit(1)


def once(folder: Path, number: int, overrides: tuple[str, ...]) -> Path:
    """Run as far as RL, and move that stage out of the way; where it is then."""
    places = (f"runs_dir={folder}/runs", f"data.cache_dir={folder}/frames")
    last = {given.partition("=")[0]: given for given in (*places, *SHORT, *overrides)}
    command = [sys.executable, "-m", "orchestrator", "rl", *last.values()]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    stage = (folder / "runs" / "tiny" / "rl").resolve()
    return stage.rename(folder / f"rl-{number}")


if __name__ == "__main__":
    main(*sys.argv[1:])
