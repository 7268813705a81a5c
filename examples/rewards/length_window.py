"""A bonus for a right answer whose thinking is neither hasty nor endless.

One file, and one line of the recipe:

    rl.reward.function: examples/rewards/length_window.py:compute_score

SpaceR gives such a bonus of 0.2 for 320 to 512 tokens (arXiv 2504.01805, SG_RLVR_trainer.py); here
the window is in words of the think block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_plugins import compute_score as ota_score
from reward_plugins import parse


def compute_score(
    data_source: str | None,
    solution_str: object,
    ground_truth: object,
    extra_info: Mapping[str, Any] | None = None,
    *,
    shortest: int = 20,
    longest: int = 200,
    bonus: float = 0.2,
    **settings: Any,
) -> dict[str, float]:
    """The project's own reward, and `bonus` for a right answer within the window of words."""
    scores = ota_score(data_source, solution_str, ground_truth, extra_info, **settings)
    trace = parse(solution_str, settings["tags"])
    words = len(trace.think.split()) if trace and trace.think else 0
    fits = float(scores["accuracy"] > 0 and shortest <= words <= longest)
    return {**scores, "length": fits, "score": scores["score"] + bonus * fits}
