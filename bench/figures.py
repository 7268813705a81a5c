"""What a bench prints: its remarks, and each figure beside the stored one (`baselines.json`).

`BENCH_SAVE=1 make bench` stores what it measures. A ratio tells more than the figure: machines
differ, and so does what else they do.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

BASELINES = Path(__file__).with_name("baselines.json")


def say(text: str) -> None:
    """Print a line, at once: what follows may take minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure and its ratio to the stored one; store it where that is asked for."""
    stored: dict[str, float] = json.loads(BASELINES.read_text()) if BASELINES.exists() else {}
    then = stored.get(name)
    ratio = f"{value / then:5.2f} x the stored {then:,.4g}" if then else "nothing stored"
    say(f"  {name:<56} {value:>12,.4g} {unit:<6} {ratio}")
    if os.environ.get("BENCH_SAVE"):
        rounded = float(f"{value:.4g}")
        BASELINES.write_text(json.dumps({**stored, name: rounded}, indent=1, sort_keys=True) + "\n")
