"""A vision tower that stays as it is: verl 0.9.1 declares `actor.freeze_vision_tower` and reads it
nowhere.

A private hook: `FSDPEngine._build_module` (workers/engine/fsdp/transformer_impl.py:254) makes the
model before it is sharded. The engine is told of no actor's settings, so `FREEZE` in the
environment of verl's processes says it.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import Any

FREEZE = "CAMREASONER_FREEZE_VISION"
"""Set, where the tower and its projector (`model.visual`) are not to be trained."""


def install() -> None:
    """Have verl's FSDP engine freeze the tower of what it builds; twice changes nothing."""
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

    own = FSDPEngine._build_module
    if not os.environ.get(FREEZE) or getattr(own, "freezes", False):
        return

    @wraps(own)
    def build(self: Any) -> Any:
        module = own(self)
        module.model.visual.requires_grad_(False)
        return module

    build.freezes = True  # type: ignore[attr-defined]
    FSDPEngine._build_module = build
