"""`python -m orchestrator.doctor.parse_verl <train.json>` in the RL environment of verl."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from orchestrator.doctor import report
from reward_plugins.verl_plugin.overrides import to_hydra


def parse(path: str) -> list[str]:
    """Compose the overrides in the JSON at `path` with verl's own config, and validate it.

    Raises what Hydra, `validate_config` and verl's dataclasses do: `ConfigCompositionException`,
    `ValueError`, `AssertionError`, `InstantiationException`.
    """
    # Whatever the recipe's device, no plugin and no accelerator is needed to read a config.
    os.environ |= {"VERL_PLATFORM": "cpu", "VERL_USE_EXTERNAL_PLUGINS": "none"}
    validate(compose(to_hydra(json.loads(Path(path).read_text())["overrides"])))
    return []


def compose(overrides: list[str]) -> Any:
    """verl's `ppo_trainer` config under `overrides`; raises for a key that verl doesn't have."""
    from hydra import compose, initialize_config_module

    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides)


def validate(config: Any) -> None:
    """What verl's driver checks, and the dataclasses that its workers would build first.

    Others of its dataclasses can't be built without the model's files.
    """
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    validate_config(config, need_reference_policy(config), need_critic(config))
    omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    estimator = config.algorithm.adv_estimator
    if config.actor_rollout_ref.rollout.n < 2 and estimator in ("grpo", "ema_grpo"):
        raise ValueError(f"rollout.n: {estimator} compares responses of a group, so it needs 2")


if __name__ == "__main__":
    report(parse)
