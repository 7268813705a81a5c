"""Video-R1's own rules (arXiv 2503.21776), which SpaceR and VideoRFT share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reward_plugins.grading import number
from reward_plugins.terms import Response


def length(group: Sequence[Response], *, shortest: int, longest: int) -> list[float]:
    """1 for each of the `group` with so many tokens, if two are in it (grpo_trainer.py:633-654)."""
    return [float(len(group) > 1 and shortest <= each.tokens <= longest) for each in group]


def numerical(answer: str, truth: Any, facts: Mapping[str, Any]) -> float:
    """Both or neither have a decimal mark, and they agree at two decimals (grpo.py:118-150)."""
    given, wanted = number(answer), number(str(truth))
    marked = [any(mark in text for mark in ".,") for text in (answer, str(truth))]
    if given is None or wanted is None or marked[0] != marked[1]:
        return 0.0
    return float(round(given, 2) == round(wanted, 2))
