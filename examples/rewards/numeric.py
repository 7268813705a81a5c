"""Questions whose answer is a number, such as a distance, a speed or a count.

One file, and one line of the recipe:

    rl.reward.function: examples/rewards/numeric.py:compute_score

The questions are samples without options whose `answer` is the number, and the prompt's template
has no `{options}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_plugins import BrokenSampleError, parse
from reward_plugins.grading import mean_relative_accuracy, number


def compute_score(
    data_source: str | None,
    solution_str: object,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    format_weight: float,
    tags: tuple[str, ...],
    **_: Any,
) -> dict[str, float]:
    """R = (1 - λ)·accuracy + λ·format, the accuracy graded by the relative error."""
    truth = number(ground_truth)
    if truth is None:
        name = (extra_info or {}).get("sample_id")
        raise BrokenSampleError(f"sample {name!r}: its answer {ground_truth!r} is no number")
    trace = parse(solution_str, tags)
    accuracy = mean_relative_accuracy(number(trace.answer), truth) if trace else 0.0
    score = (1 - format_weight) * accuracy + format_weight * float(trace is not None)
    return {"score": score, "format": float(trace is not None), "accuracy": accuracy}
