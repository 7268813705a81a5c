"""EasyR1 checkpoint to a Hugging Face one: `python -m reward_plugins.merge.easyr1 <json>`.

EasyR1's own merger (scripts/model_merger.py) always casts to bfloat16 and writes into the
checkpoint. Its shards are those of verl; only what says which and how many there are differs.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path

from reward_plugins.merge.check import MergeError
from reward_plugins.merge.verl import MergeConfig
from reward_plugins.merge.verl import merge as merge_verl

TRACKER = "checkpoint_tracker.json"
"""EasyR1 writes it last (verl/trainer/ray_trainer.py:338), beside the checkpoints."""

logger = logging.getLogger(__name__)


def merge(config: MergeConfig) -> int:
    """Write the merged checkpoint, atomically, and return its number of parameters.

    `config.source` is EasyR1's `save_checkpoint_path`; its latest checkpoint is merged. Raises
    `MergeError` where there is none, and for missing shards.
    """
    step = latest_step(config.source)
    with tempfile.TemporaryDirectory() as directory:
        as_verl = Path(directory)
        (as_verl / "latest_checkpointed_iteration.txt").write_text(str(step), encoding="utf-8")
        actor = as_verl / f"global_step_{step}" / "actor"
        actor.mkdir(parents=True)
        for file in (config.source / f"global_step_{step}" / "actor").iterdir():
            (actor / file.name).symlink_to(file.resolve())
        ranks = json.dumps({"world_size": count_ranks(actor)})
        (actor / "fsdp_config.json").write_text(ranks, encoding="utf-8")
        return merge_verl(config.model_copy(update={"source": as_verl}))


def latest_step(checkpoints: Path) -> int:
    """The step of the newest checkpoint that EasyR1 finished writing."""
    named = checkpoints / TRACKER
    if not named.is_file():
        raise MergeError(f"{checkpoints} has no {TRACKER}: EasyR1 finished no checkpoint there")
    return int(json.loads(named.read_text(encoding="utf-8"))["last_global_step"])


def count_ranks(actor: Path) -> int:
    """How many ranks saved shards, as the name of the first one's tells."""
    first = next(actor.glob("model_world_size_*_rank_0.pt"), None)
    if first is None:
        raise MergeError(f"{actor} has no model_world_size_*_rank_0.pt: it isn't EasyR1's actor")
    return int(first.name.split("_")[3])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    settings = MergeConfig.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logger.info("merged %d parameters into %s", merge(settings), settings.target)
