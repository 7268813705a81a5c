"""Video-R1's term (arXiv 2503.21776; grpo_trainer.py:633-654), which SpaceR and VideoRFT share."""

from __future__ import annotations

from collections.abc import Sequence

from reward_plugins.terms import Response


def length(group: Sequence[Response], *, shortest: int, longest: int) -> list[float]:
    """1 for each of the `group` with so many tokens, if there are two in it; they are right."""
    return [float(len(group) > 1 and shortest <= each.tokens <= longest) for each in group]
