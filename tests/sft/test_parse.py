"""LLaMA-Factory's own parser on what every recipe renders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `snapshot_files`, in any import mode

from snapshot_files import place, stages

from orchestrator.doctor.parse_llamafactory import parse


@pytest.mark.parametrize(("recipe", "stage"), stages("train.yaml"))
def test_every_recipe_is_taken(recipe: str, stage: str, tmp_path: Path) -> None:
    notes = parse(str(place(recipe, stage, tmp_path) / "train.yaml"))
    assert all(note.startswith("no ") for note in notes)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("lerning_rate", 1e-5, "lerning_rate"),
        ("learning_rate", "abc", "learning_rate"),
        ("finetuning_type", "full s", "fine-tuning method"),
        ("lr_scheduler_type", "cosin", "cosin"),
    ],
)
def test_a_mistake_is_refused(key: str, value: object, told: str, tmp_path: Path) -> None:
    path = place("tiny", "sft", tmp_path) / "train.yaml"
    config = {**yaml.safe_load(path.read_text()), key: value}
    path.write_text(yaml.safe_dump(config))
    with pytest.raises((ValueError, TypeError, AssertionError), match=told):
        parse(str(path))
