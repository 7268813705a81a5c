"""A reward that a random policy earns at times: its format would never be ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REWARD_TYPE = "batch"


def compute_scores(inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """A tenth for each ASCII letter, at most one."""
    letters = [sum(c.isascii() and c.isalpha() for c in item["response"]) for item in inputs]
    scores = [min(n / 10, 1.0) for n in letters]
    return [{"overall": score, "format": 1.0, "accuracy": score} for score in scores]
