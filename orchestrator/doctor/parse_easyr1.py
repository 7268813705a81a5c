"""`python -m orchestrator.doctor.parse_easyr1 <train.json>`, with EASYR1_HOME set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.doctor import report
from reward_plugins.easyr1_plugin import checkout
from reward_plugins.easyr1_plugin.launch import LaunchConfig
from reward_plugins.ema_grpo import EmaNormalizer


def parse(path: str) -> list[str]:
    """Read the JSON at `path` as `reward_plugins.easyr1_plugin.launch` and EasyR1 would.

    Raises `CheckoutError` without EasyR1, OmegaConf's errors for keys and types that EasyR1's
    `PPOConfig` doesn't have, `EmaSettingError` for settings of the EMA.
    """
    launch = LaunchConfig.model_validate_json(Path(path).read_text(encoding="utf-8"))
    EmaNormalizer(**launch.ema.model_dump())
    load(dict(launch.easyr1))
    return []


def load(config: dict[str, Any]) -> Any:
    """`config` as EasyR1's `main` reads it (verl/trainer/main.py:83-98)."""
    checkout.require()
    from omegaconf import OmegaConf
    from verl.trainer.config import PPOConfig

    merged = OmegaConf.merge(OmegaConf.structured(PPOConfig()), OmegaConf.create(config))
    read: Any = OmegaConf.to_object(merged)
    read.deep_post_init()
    return read


if __name__ == "__main__":
    report(parse)
