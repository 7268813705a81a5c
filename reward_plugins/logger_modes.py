"""What decides, as a run starts, whether its loggers are online: handed on to Ray's workers."""

from __future__ import annotations

import os

VARIABLES = ("WANDB_MODE", "SWANLAB_MODE")
"""No key is among them: what a worker is given can be read by everyone who sees the cluster."""


def logger_modes() -> dict[str, str]:
    """Those that are set for this process."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}
