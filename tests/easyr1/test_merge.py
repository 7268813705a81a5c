"""EasyR1's shards merged in the precision they were trained in."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

if not os.environ.get("EASYR1_HOME"):
    pytest.skip("EASYR1_HOME names no EasyR1 checkout", allow_module_level=True)

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from reward_plugins.merge.check import MergeError
from reward_plugins.merge.easyr1 import actors
from reward_plugins.merge.verl import MergeConfig, merge_all


@pytest.fixture
def checkpoints(workspace: Path, tmp_path: Path) -> Path:
    """What EasyR1 leaves after step 2, by one rank: a newer step 3 was never finished."""
    source = tmp_path / "checkpoints"
    for step in (2, 3):
        actor = source / f"global_step_{step}/actor"
        weights = shutil.ignore_patterns("*.safetensors")
        shutil.copytree(workspace / "model", actor / "huggingface", ignore=weights)
    model = AutoModelForImageTextToText.from_pretrained(workspace / "model", dtype=torch.float32)
    path = source / "global_step_2/actor/model_world_size_1_rank_0.pt"
    torch.save({name: tensor + 1e-6 for name, tensor in model.state_dict().items()}, path)
    (source / "checkpoint_tracker.json").write_text(json.dumps({"last_global_step": 2}))
    return source


def test_the_latest_finished_step_is_merged_exactly(checkpoints: Path, tmp_path: Path) -> None:
    target = tmp_path / "merged" / "last"
    actor = checkpoints / "global_step_2/actor"
    before = sorted(actor.rglob("*"))
    count = merge_all(MergeConfig(source=checkpoints, target=target.parent), actors(checkpoints))
    assert target.readlink() == Path("step-2") and not (target.parent / "step-3").exists()
    saved = torch.load(actor / "model_world_size_1_rank_0.pt")
    merged = AutoModelForImageTextToText.from_pretrained(target, dtype=torch.float32)
    assert count == sum(parameter.numel() for parameter in merged.parameters())
    for name, tensor in merged.state_dict().items():
        assert torch.equal(tensor, saved[name]), name
    assert AutoProcessor.from_pretrained(target).chat_template
    assert sorted(actor.rglob("*")) == before


def test_what_is_no_checkpoint_is_an_error(checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(MergeError, match=r"checkpoint_tracker\.json"):
        actors(tmp_path)
    (checkpoints / "global_step_2/actor/model_world_size_1_rank_0.pt").unlink()
    with pytest.raises(MergeError, match="rank_0"):
        merge_all(MergeConfig(source=checkpoints, target=tmp_path / "merged"), actors(checkpoints))
