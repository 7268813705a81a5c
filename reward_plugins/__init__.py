"""Format and accuracy rewards and the EMA advantage estimator, usable without the rest.

    from reward_plugins import answer_letter, compute_score, parse

    trace = parse("<observation>It slides.</observation><think>A pan.</think><answer>B</answer>")
    answer_letter(trace.answer, ["Yes", "No"])                    # 'B'
    compute_score("binary", "<answer>B</answer>", "B", format_weight=0.1)

Everything needs the standard library alone, but `EmaNormalizer` and `token_advantages`, which are
imported with torch when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reward_plugins.answers import answer_letter
from reward_plugins.errors import CamReasonerError
from reward_plugins.lazy import importer
from reward_plugins.ota import TAGS, TagsError, Trace, answer_block, parse
from reward_plugins.reward import (
    BrokenSampleError,
    RewardSettingError,
    compute_score,
    compute_scores,
)

if TYPE_CHECKING:
    from reward_plugins.ema_grpo import EmaNormalizer, token_advantages

__all__ = [
    "TAGS",
    "BrokenSampleError",
    "CamReasonerError",
    "EmaNormalizer",
    "RewardSettingError",
    "TagsError",
    "Trace",
    "answer_block",
    "answer_letter",
    "compute_score",
    "compute_scores",
    "parse",
    "token_advantages",
]

_HOMES = {
    "EmaNormalizer": "reward_plugins.ema_grpo:EmaNormalizer",
    "token_advantages": "reward_plugins.ema_grpo:token_advantages",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__ = importer(__name__, _HOMES)
