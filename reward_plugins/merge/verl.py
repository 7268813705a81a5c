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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch.distributed.tensor import DTensor

from reward_plugins.files import remove, replacement, write_file
from reward_plugins.merge.check import MergeError, compare, encode

logger = logging.getLogger(__name__)

CHECK = "check.json"
"""Beside the merged checkpoints: how each compares with its source."""


class MergeConfig(BaseModel):
    """What the command reads and writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Path
    """The trainer's checkpoint directory."""
    target: Path
    """Where `step-N` goes for each checkpoint that was kept, and `last`, a link to the newest."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the merged weights."""


def merge_all(config: MergeConfig, actors: Mapping[int, Path]) -> int:
    """Merge every checkpoint of `actors` (folder by step); returns the parameters of the last."""
    checks = {}
    for step, actor in sorted(actors.items()):
        checks[f"step-{step}"] = merge(actor, config.target / f"step-{step}", config.dtype)
        logger.info("merged step %d into %s", step, config.target / f"step-{step}")
    name, check = next(reversed(checks.items()))
    with replacement(config.target / "last") as link:
        link.symlink_to(name)
    write_file(config.target / CHECK, json.dumps(checks, indent=2) + "\n")
    return int(check["parameters"])


def merge(actor: Path, target: Path, dtype: str) -> dict[str, Any]:
    """Write the merged checkpoint of `actor`, atomically; returns how it compares with its source.

    Raises:
        MergeError: shards are missing, or aren't the weights of the model they belong to, or what
            was written is not what was trained.
    """
    weights = read_shards(actor)
    as_written = getattr(torch, dtype)
    with replacement(target) as partial:
        shutil.copytree(actor / "huggingface", partial)
        prompt = encode(partial)
        save(partial, {name: tensor.to(as_written) for name, tensor in weights.items()}, as_written)
        check = compare(partial, weights, prompt, as_written)
        remove(target)
    return check


def actors(checkpoints: Path) -> dict[int, Path]:
    """`global_step_N/actor` by step, of the checkpoints that verl finished and kept."""
    tracker = checkpoints / "latest_checkpointed_iteration.txt"
    if not tracker.is_file():
        raise MergeError(f"{checkpoints} has no {tracker.name}: verl finished no checkpoint there")
    return kept_actors(checkpoints, int(tracker.read_text()))


def kept_actors(checkpoints: Path, latest: int) -> dict[int, Path]:
    """Folders of `actor` by step, up to the `latest`, which must be there."""
    folders = {int(p.parent.name[12:]): p for p in checkpoints.glob("global_step_*/actor")}
    kept = {step: path for step, path in folders.items() if step < latest}
    return {**kept, latest: checkpoints / f"global_step_{latest}" / "actor"}


def read_shards(source: Path) -> dict[str, torch.Tensor]:
    """The whole tensors of `source`, in the precision they were trained in."""
    ranks = count_ranks(source)
    paths = [source / f"model_world_size_{ranks}_rank_{rank}.pt" for rank in range(ranks)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise MergeError(f"{source} lacks {', '.join(missing)}: merge where all shards are")
    shards = [_read(path) for path in paths]
    return {name: _join(name, [shard[name] for shard in shards]) for name in shards[0]}


def count_ranks(actor: Path) -> int:
    """How many ranks saved shards, as the name of the first one's tells."""
    first = next(actor.glob("model_world_size_*_rank_0.pt"), None)
    if first is None:
        raise MergeError(f"{actor} has no model_world_size_*_rank_0.pt: it is no trainer's actor")
    return int(first.name.split("_")[3])


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


def run(actors_of: Callable[[Path], Mapping[int, Path]]) -> None:
    """The command: merge what the config named on the command line says."""
    logging.basicConfig(level=logging.INFO)
    config = MergeConfig.model_validate_json(Path(sys.argv[1]).read_text())
    logger.info("merged %d parameters", merge_all(config, actors_of(config.source)))


if __name__ == "__main__":
    run(actors)
