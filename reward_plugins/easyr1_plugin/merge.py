"""EasyR1 checkpoint to a Hugging Face one: `python -m reward_plugins.easyr1_plugin.merge <json>`.

EasyR1's own merger (scripts/model_merger.py) always casts to bfloat16 and writes into the
checkpoint. Its shards are those of verl, but for the file that tells how many there are.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import tempfile
from pathlib import Path

from reward_plugins.verl_plugin.merge import MergeConfig, MergeError
from reward_plugins.verl_plugin.merge import merge as merge_verl

logger = logging.getLogger(__name__)


def merge(config: MergeConfig) -> int:
    """Write the merged checkpoint, atomically, and return its number of parameters.

    `config.source` is EasyR1's `global_step_N/actor`. Raises `MergeError` for missing shards.
    """
    with tempfile.TemporaryDirectory() as directory:
        as_verl = Path(directory)
        for file in config.source.iterdir():
            (as_verl / file.name).symlink_to(file.resolve())
        ranks = json.dumps({"world_size": count_ranks(config.source)})
        (as_verl / "fsdp_config.json").write_text(ranks, encoding="utf-8")
        return merge_verl(config.model_copy(update={"source": as_verl}))


def count_ranks(source: Path) -> int:
    """How many ranks saved the shards, as the name of the first one tells."""
    for file in sorted(source.glob("model_world_size_*_rank_0.pt")):
        if found := re.fullmatch(r"model_world_size_(\d+)_rank_0\.pt", file.name):
            return int(found[1])
    raise MergeError(f"{source} has no model_world_size_*_rank_0.pt: it isn't EasyR1's actor")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    settings = MergeConfig.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logger.info("merged %d parameters into %s", merge(settings), settings.target)
