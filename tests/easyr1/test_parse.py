"""EasyR1's own loader on what every recipe renders."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

if not os.environ.get("EASYR1_HOME"):
    pytest.skip("EASYR1_HOME names no EasyR1 checkout", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `snapshot_files`, in any import mode

from snapshot_files import place, stages

from orchestrator.doctor.parse_easyr1 import load, parse


@pytest.mark.parametrize(("recipe", "stage"), stages("train.json", "-easyr1"))
def test_every_recipe_is_taken(recipe: str, stage: str, tmp_path: Path) -> None:
    assert parse(str(place(recipe, stage, tmp_path) / "train.json")) == []


def test_the_released_configuration_has_no_reference_policy(tmp_path: Path) -> None:
    path = place("camreasoner_7b_as_released", "rl-easyr1", tmp_path) / "train.json"
    read = load(json.loads(path.read_text())["easyr1"])
    assert (read.algorithm.disable_kl, read.worker.actor.use_kl_loss) == (True, False)
    assert read.worker.reward.reward_function_kwargs["gate_accuracy_on_format"] is False
