"""verl's advantage estimator `ema_grpo`: our EMA normaliser behind verl's signature.

verl hands an estimator rewards, mask, configuration and group ids, but no task
(verl/trainer/ppo/ray_trainer.py:251). The trainer therefore announces each group's task first;
groups without one are verl's padding rows and stay out of the statistics.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from verl.trainer.ppo.core_algos import register_adv_est

from reward_plugins.ema_grpo import EmaNormalizer, token_advantages

NAME = "ema_grpo"
OPTIONS = ("beta", "statistic", "min_std", "guard", "key")


class EmaEstimator:
    """The normaliser of the one process that computes advantages, and its groups' tasks."""

    def __init__(self) -> None:
        self.normalizer = EmaNormalizer()
        self.tasks: Mapping[str, str] = {}

    def configure(self, algorithm: Mapping[str, Any]) -> None:
        """Start afresh with verl's `algorithm.ema_beta`, `.ema_statistic`, ... where given."""
        given = {name: algorithm.get(f"ema_{name}") for name in OPTIONS}
        self.normalizer = EmaNormalizer(**{k: v for k, v in given.items() if v is not None})


ESTIMATOR = EmaEstimator()


@register_adv_est(NAME)
def ema_grpo(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: Sequence[str],
    config: Any = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns, both (B, T): one value a response, on its own tokens."""
    tasks = [ESTIMATOR.tasks.get(group) for group in index]
    real = [task is not None for task in tasks]
    advantages = token_advantages(
        ESTIMATOR.normalizer, token_level_rewards, response_mask, index, tasks, real
    )
    return advantages, advantages
