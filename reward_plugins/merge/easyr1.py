"""EasyR1 checkpoints to Hugging Face ones: `python -m reward_plugins.merge.easyr1 <json>`.

EasyR1's own merger (scripts/model_merger.py) always casts to bfloat16 and writes into the
checkpoint. Its shards are those of verl; only what says which and how many there are differs.
"""

from __future__ import annotations

import json
from pathlib import Path

from reward_plugins.merge.check import MergeError
from reward_plugins.merge.verl import kept_actors, run

TRACKER = "checkpoint_tracker.json"
"""EasyR1 writes it last (verl/trainer/ray_trainer.py:338), beside the checkpoints."""


def actors(checkpoints: Path) -> dict[int, Path]:
    """`global_step_N/actor` by step, of the checkpoints that EasyR1 finished and kept.

    Raises `MergeError` where there is none.
    """
    named = checkpoints / TRACKER
    if not named.is_file():
        raise MergeError(f"{checkpoints} has no {TRACKER}: EasyR1 finished no checkpoint there")
    latest = int(json.loads(named.read_text(encoding="utf-8"))["last_global_step"])
    return kept_actors(checkpoints, latest)


if __name__ == "__main__":
    run(actors)
