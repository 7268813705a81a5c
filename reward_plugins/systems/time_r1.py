"""Time-R1's reward of intervals (arXiv 2503.13377; main.py:93-231)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from reward_plugins.grading import numbers, read_json
from reward_plugins.published import blocks, has_blocks
from reward_plugins.reward import accuracy_share, facts_of

_TIMES = re.compile(r"(\d{1,9}\.?\d{0,9}) (?:to|and) (\d{1,9}\.?\d{0,9})", re.IGNORECASE | re.ASCII)


def compute_score(
    data_source: str | None,
    solution_str: object,
    ground_truth: object,
    extra_info: Mapping[str, Any],
    *,
    tags: Sequence[str],
    **settings: Any,
) -> dict[str, float]:
    """The last answer block's interval, and the format, in which blocks may repeat."""
    text = solution_str.strip() if isinstance(solution_str, str) else ""
    answers = blocks(text, "answer")
    facts = facts_of(extra_info)
    accuracy = interval(answers[-1] if answers else "", ground_truth, facts)
    well_formed = float(has_blocks(text, tags))
    score = accuracy_share(**settings) * accuracy + settings["format_weight"] * well_formed
    return {"score": score, "format": well_formed, "accuracy": accuracy}


def interval(answer: str, truth: Any, facts: Mapping[str, Any]) -> float:
    """Overlap by hull, times how near each end is, measured by `facts["duration"]`.

    The last "1.5 to 4" or "1.5 and 4" is read. Where an end is off by more than the clip lasts
    Time-R1's product turns negative; here it is 0.
    """
    (start, end), seconds = _two(truth), _duration(facts)
    found = _TIMES.findall(answer)
    if not found:
        return 0.0
    first, last = map(float, found[-1])
    shared = max(0.0, min(last, end) - max(first, start))
    hull = max(last, end) - min(first, start)
    near = [max(0.0, 1 - abs(a - b) / seconds) for a, b in ((first, start), (last, end))]
    return shared / hull * near[0] * near[1] if hull > 0 else 0.0


def _two(truth: Any) -> tuple[float, float]:
    found = numbers(read_json(truth), 2)
    if found is None or found[0] >= found[1]:
        raise ValueError(f"the truth {truth!r} is no [start, end]; mend the sample's answer")
    return found[0], found[1]


def _duration(facts: Mapping[str, Any]) -> float:
    seconds = facts.get("duration")
    if not isinstance(seconds, int | float) or seconds <= 0:
        raise ValueError(
            f"facts['duration'] is {seconds!r}, no seconds: name it in data.files' fields"
        )
    return float(seconds)
