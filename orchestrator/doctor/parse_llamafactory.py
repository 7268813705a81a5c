"""`python -m orchestrator.doctor.parse_llamafactory <train.yaml>` in the SFT environment."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from orchestrator.doctor import report

DISTRIBUTED = {
    "RANK": "0",
    "WORLD_SIZE": "1",
    "LOCAL_RANK": "0",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "0",
}
"""A launcher's environment, of one process: without it the parser refuses DeepSpeed."""


def parse(path: str) -> list[str]:
    """Hand the YAML at `path` to LLaMA-Factory's `get_train_args`; returns what was left out.

    Raises whatever the parser does, mostly `ValueError` (llamafactory 0.9.5, hparams/parser.py).
    """
    config, notes = portable(yaml.safe_load(Path(path).read_text()))
    os.environ |= {**DISTRIBUTED, "HF_HUB_OFFLINE": "1"}
    from llamafactory.hparams import get_train_args

    _, _, training, _, _ = get_train_args(config)
    for name in ("learning_rate", "warmup_ratio", "weight_decay", "num_train_epochs"):
        value = getattr(training, name)  # `learning_rate: abc` passes the parser as a text
        if not isinstance(value, int | float):
            raise TypeError(f"{name}: {value!r} is not a number")
    return notes


def portable(config: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The config as this machine can parse it, and what it then can't tell."""
    import torch

    notes = []
    if config.get("bf16") and not config.get("use_cpu") and not torch.cuda.is_available():
        config = {**config, "use_cpu": True}
        notes.append("no GPU here: parsed as for a CPU")
    if config.get("deepspeed") and find_spec("deepspeed") is None:
        config = {key: value for key, value in config.items() if key != "deepspeed"}
        notes.append("no deepspeed here: its settings were not parsed")
    return config, notes


if __name__ == "__main__":
    report(parse)
