"""Turn verl's sharded checkpoint into a Hugging Face one.

`python -m reward_plugins.merge.verl <config.json>`

verl's own merger always casts to bfloat16 (verl/model_merger/fsdp_model_merger.py:187), which would
make the merged policy another one than the trained. This one reads the same files
(`actor/model_world_size_W_rank_R.pt`, FSDP2's DTensors) and keeps them as they are.
"""

import json
import logging
import pickle
import shutil
import sys
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch.distributed.tensor import DTensor

from reward_plugins.files import remove, replacement, write_file
from reward_plugins.merge.check import MergeError, compare, encode

logger = logging.getLogger(__name__)

CHECK = "check.json"
"""Beside the merged checkpoint: how it compares with its source."""


class MergeConfig(BaseModel):
    """What the stage reads and writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Path
    """verl's checkpoint directory; the checkpoint it calls the latest is merged."""
    target: Path
    """Checkpoint directory with tokenizer, processor and chat template; replaced if it exists."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the merged weights."""


def merge(config: MergeConfig) -> int:
    """Write the merged checkpoint, atomically and checked, and return its number of parameters.

    Raises:
        MergeError: shards are missing, or aren't the weights of the model they belong to, or what
            was written is not what was trained.
    """
    actor = latest_actor(config.source)
    weights = read_shards(actor)
    dtype = getattr(torch, config.dtype)
    with replacement(config.target) as partial:
        shutil.copytree(actor / "huggingface", partial)
        prompt = encode(partial)
        save(partial, {name: tensor.to(dtype) for name, tensor in weights.items()}, dtype)
        found = compare(partial, weights, prompt, dtype)
        write_file(config.target.parent / CHECK, json.dumps(found, indent=2) + "\n")
        remove(config.target)
    return int(found["parameters"])


def latest_actor(checkpoints: Path) -> Path:
    """`global_step_N/actor` of the newest checkpoint that verl finished writing."""
    named = checkpoints / "latest_checkpointed_iteration.txt"
    if not named.is_file():
        raise MergeError(f"{checkpoints} has no {named.name}: verl finished no checkpoint there")
    return checkpoints / f"global_step_{named.read_text().strip()}" / "actor"


def read_shards(source: Path) -> dict[str, torch.Tensor]:
    """The whole tensors of `source`, in the precision they were trained in."""
    described = source / "fsdp_config.json"
    if not described.is_file():
        raise MergeError(
            f"{source} has no {described.name}: it isn't the actor of a verl checkpoint"
        )
    ranks = json.loads(described.read_text())["world_size"]
    paths = [source / f"model_world_size_{ranks}_rank_{rank}.pt" for rank in range(ranks)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise MergeError(f"{source} lacks {', '.join(missing)}: merge where all shards are")
    shards = [_read(path) for path in paths]
    return {name: _join(name, [shard[name] for shard in shards]) for name in shards[0]}


def _read(path: Path) -> dict[str, torch.Tensor]:
    """A shard; torch knows DTensor as safe, and runs no code of the file (`weights_only`)."""
    try:
        shard: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise MergeError(f"{path} holds more than weights, or is torn: {error}") from error
    return shard


def _join(name: str, parts: list[torch.Tensor]) -> torch.Tensor:
    first = parts[0]
    if not isinstance(first, DTensor):
        return first
    placement = first.placements[-1]  # the last mesh dimension is FSDP's
    if first.device_mesh.ndim != 1 or not (placement.is_shard() or placement.is_replicate()):
        raise MergeError(
            f"{name}: placements {first.placements} aren't plain FSDP; use verl's merger"
        )
    local = [part.to_local() for part in parts]
    return torch.cat(local, dim=placement.dim) if placement.is_shard() else local[0]


def save(directory: Path, state: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
    """Write the weights of `state` beside the config that they belong to."""
    from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

    with torch.device("meta"):
        config = AutoConfig.from_pretrained(directory)
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    odd = sorted(set(state) ^ set(model.state_dict()))
    if odd:
        raise MergeError(f"{directory.parent}: weights and model differ in names, e.g. {odd[:4]}")
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    model.generation_config = GenerationConfig.from_pretrained(directory)
    model.save_pretrained(directory)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    settings = MergeConfig.model_validate_json(Path(sys.argv[1]).read_text())
    logger.info("merged %d parameters into %s", merge(settings), settings.target)
