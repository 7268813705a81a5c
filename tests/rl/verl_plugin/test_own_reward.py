"""A reward of a user's own, from the recipe's line to the score of verl's reward manager."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import load_reward_manager
from verl.utils.tokenizer import hf_tokenizer

from data_builders.export import verl_row
from data_builders.frames import FrameIndex
from data_builders.media import video
from data_builders.sample import Sample
from data_builders.specs import PromptSpec
from orchestrator.doctor.parse_verl import compose
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe
from reward_plugins.verl_plugin.overrides import to_hydra
from tests.givens import SPEC, frames_of

COMMON = {"id": "s1", "dataset": "d", "split": "train", "category": "c", "media": (video("c.mp4"),)}
LETTERS = Sample(
    **COMMON, task="multiple choice", question="Which?", options=("left", "right"), answer="A",
)  # fmt: skip
NUMBER = Sample(**COMMON, task="distance", question="How far?", options=(), answer="4")


def rendered(tmp_path: Path, *overrides: str) -> Any:
    """verl's own config of the RL stage under `overrides`, its files written."""
    stage = make_plan(load_recipe("tiny", overrides), tmp_path).stage("rl")
    stage.directory.mkdir(parents=True)
    for name, text in stage.files.items():
        Path(name).write_text(text)
    return compose(to_hydra(json.loads((stage.directory / "train.json").read_text())["overrides"]))


def batch(sample: Sample, response: str, tokenizer: Any) -> DataProto:
    """One response as verl's agent loop hands it over: right-padded, with the row's columns."""
    index = FrameIndex(cache=Path("cache"), spec=SPEC, clips={"c.mp4": frames_of()})
    row = verl_row(0, sample, index, PromptSpec())
    tokens = tokenizer(response, add_special_tokens=False, return_tensors="pt")["input_ids"]
    padding = torch.full((1, 5), tokenizer.pad_token_id or 0)
    whole = torch.cat([tokens, padding], dim=1)
    mask = torch.cat([torch.ones_like(tokens), torch.zeros_like(padding)], dim=1)
    kept = {key: value for key, value in row.items() if key not in ("images", "videos")}
    columns = {key: np.array([value], dtype=object) for key, value in kept.items()}
    return DataProto.from_dict({"responses": whole, "attention_mask": mask}, columns)


@pytest.mark.parametrize(
    ("file", "arguments", "tags", "sample", "response", "expected"),
    [
        (
            "length_window", "{shortest: 2, longest: 3, bonus: 0.5}",
            "[observation, think, answer]", LETTERS,
            "<observation>x</observation><think>so it pans</think><answer>A</answer>",
            {"score": 1.5, "format": 1.0, "accuracy": 1.0, "length": 1.0},
        ),
        (
            "numeric", "{}", "[think, answer]", NUMBER, "<think>x</think><answer>4.22</answer>",
            {"score": 0.91, "format": 1.0, "accuracy": 0.9},
        ),
    ],
)  # fmt: skip
def test_verls_reward_manager_scores_by_the_recipes_own_file(
    file: str, arguments: str, tags: str, sample: Sample, response: str,
    expected: dict[str, float], checkpoint: Path, tmp_path: Path,
) -> None:  # fmt: skip
    config = rendered(
        tmp_path,
        f"rl.reward.function=examples/rewards/{file}.py:compute_score",
        f"rl.reward.arguments={arguments}",
        f"prompt.tags={tags}",
        "tasks={multiple choice:{grader:letter},distance:{grader:number}}",
    )
    tokenizer = hf_tokenizer(str(checkpoint))
    manager = load_reward_manager(config, tokenizer)
    data = batch(sample, response, tokenizer)
    found = manager.loop.run_until_complete(manager.run_single(data))
    assert found["reward_extra_info"] == pytest.approx(expected)
    assert found["reward_score"] == pytest.approx(expected["score"])


@pytest.mark.parametrize(("rule", "accuracy"), [("at_most", 0.6), ("below", 0.5)])
def test_verls_reward_manager_grades_by_the_recipes_tasks(
    rule: str, accuracy: float, checkpoint: Path, tmp_path: Path
) -> None:
    tasks = f"tasks={{distance:{{grader:relative,rule:{rule}}},two words:{{grader:letter}}}}"
    config = rendered(tmp_path, tasks, "prompt.tags=[think, answer]")
    tokenizer = hf_tokenizer(str(checkpoint))
    manager = load_reward_manager(config, tokenizer)
    data = batch(NUMBER, "<think>x</think><answer>3</answer>", tokenizer)
    found = manager.loop.run_until_complete(manager.run_single(data))
    assert found["reward_extra_info"]["accuracy"] == pytest.approx(accuracy)
    assert found["reward_score"] == pytest.approx(0.9 * accuracy + 0.1)
