"""A reward that an untrained policy earns too, so that every step of RL changes its weights."""

from typing import Any


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **_: Any
) -> dict[str, float]:
    return {"score": len(solution_str) % 7 / 6, "accuracy": 0.0, "format": 0.0}
