"""Try the reward before a model is loaded: what it raises costs a second, not a step."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig
from verl.trainer.ppo.reward import get_custom_reward_fn

ANSWER = "<answer>{}</answer>"
RESPONSES = ("", ANSWER, f"<observation>x</observation><think>x</think>{ANSWER}")
"""Nothing, the bare answer, and a whole trace; the right answer goes into the braces."""


def try_reward(config: DictConfig) -> None:
    """Score a few responses to the first question of each task; what the reward raises propagates.

    `config` is verl's whole one.
    """
    score: Any = get_custom_reward_fn(config)
    columns = ["data_source", "reward_model", "extra_info"]
    rows = pq.read_table(config.data.train_files, columns=columns).to_pylist()
    for row in {row["data_source"]: row for row in reversed(rows)}.values():
        truth = row["reward_model"]["ground_truth"]
        for response in RESPONSES:
            score(
                data_source=row["data_source"],
                solution_str=response.format(truth),
                ground_truth=truth,
                extra_info=row["extra_info"],
            )
