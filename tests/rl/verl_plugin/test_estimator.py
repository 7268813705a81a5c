"""`ema_grpo` inside verl's own advantage computation."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from verl.protocol import DataProto
from verl.trainer.ppo.ray_trainer import compute_advantage

from reward_plugins.ema_grpo import BatchError, EmaNormalizer
from reward_plugins.verl_plugin.estimator import ESTIMATOR

SCORES = [1.0, 0.0, 0.5, 0.5, 0.9, 0.1]
GROUPS = ["a", "a", "b", "b", "c", "c"]
TASKS = {"a": "binary", "b": "binary", "c": "letters"}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    ESTIMATOR.configure({})
    ESTIMATOR.tasks = {}
    yield
    ESTIMATOR.configure({})
    ESTIMATOR.tasks = {}


def advantages(scores: list[float], groups: list[str], settings: object = None) -> torch.Tensor:
    rewards = torch.zeros(len(scores), 3)
    rewards[:, -1] = torch.tensor(scores)
    mask = torch.tensor([[1, 1, 0]] * len(scores))
    data = DataProto.from_dict(
        tensors={"token_level_rewards": rewards, "response_mask": mask},
        non_tensors={"uid": np.array(groups, dtype=object)},
    )
    config = OmegaConf.create(settings or {})
    return compute_advantage(data, "ema_grpo", config=config).batch["advantages"]


def test_each_response_token_gets_the_normalizers_advantage() -> None:
    ESTIMATOR.tasks = TASKS
    expected = EmaNormalizer().advantages(SCORES, GROUPS, [TASKS[g] for g in GROUPS])
    found = advantages(SCORES, GROUPS)
    assert torch.equal(found[:, 0], expected) and torch.equal(found[:, 1], expected)
    assert not found[:, 2].any()


def test_padding_rows_get_nothing_and_change_nothing() -> None:
    ESTIMATOR.tasks = TASKS
    expected = advantages(SCORES, GROUPS)
    state = ESTIMATOR.normalizer.state_dict()
    ESTIMATOR.configure({})
    found = advantages([*SCORES, 0.0], [*GROUPS, "pad123"])
    assert torch.equal(found[:-1], expected) and not found[-1].any()
    assert ESTIMATOR.normalizer.state_dict() == state


def test_settings_come_from_verls_algorithm_section() -> None:
    ESTIMATOR.configure(OmegaConf.create({"ema_beta": 0.5, "ema_statistic": "std", "gamma": 1.0}))
    normalizer = ESTIMATOR.normalizer
    assert (normalizer.beta, normalizer.statistic, normalizer.min_std) == (0.5, "std", 1e-3)


def test_a_group_of_one_is_an_error() -> None:
    ESTIMATOR.tasks = {"a": "binary"}
    with pytest.raises(BatchError, match="'a'"):
        advantages([1.0], ["a"])


def test_a_batch_without_a_real_row_is_an_error() -> None:
    with pytest.raises(BatchError, match=r"none of 6 rows has a task.*sync_ema"):
        advantages(SCORES, GROUPS)


def test_one_shared_std_makes_tasks_one() -> None:
    ESTIMATOR.tasks = TASKS
    ESTIMATOR.configure(OmegaConf.create({"ema_key": "shared"}))
    shared = advantages(SCORES, GROUPS)
    assert torch.equal(shared[:, 0], EmaNormalizer().advantages(SCORES, GROUPS, ["any"] * 6))
    assert list(ESTIMATOR.normalizer.state_dict()["tasks"]) == ["shared"]
