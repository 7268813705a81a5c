"""OneThinker's own rules (arXiv 2512.03043; onethinker_reward.py:163-333, 434-481)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_plugins.grading import box_iou, interval_iou, numbers, read_json
from reward_plugins.published import blocks
from reward_plugins.terms import Response


def tube(answer: str, truth: Any, facts: Mapping[str, Any]) -> float:
    """Half the overlap in time, half the mean overlap of boxes in frames that both name."""
    given, wanted = _object(answer), _object(truth)
    boxes, true_boxes = _boxes(given), _boxes(wanted)
    common = boxes.keys() & true_boxes.keys()
    share = sum(box_iou(boxes[frame], true_boxes[frame]) for frame in common) / max(1, len(common))
    return 0.5 * interval_iou(given.get("time"), wanted.get("time")) + 0.5 * share


def structure(response: Response) -> float:
    """How much of its task's shape an answer has, from 0 to 1; tasks without a shape have it all.

    A track is half boxes and nothing else, half the share of the true frames that are named.
    """
    answers = blocks(response.text, "answer")
    given, wanted = _object(answers[0] if answers else ""), _object(response.truth)
    timed = numbers(given.get("time"), 2) is not None
    if response.task == "temporal_grounding":
        return float(timed)
    if response.task == "spatial_grounding":
        return float(numbers(given.get("boxes"), 4) is not None)
    if response.task not in ("tracking", "spatial-temporal_grounding"):
        return 1.0
    boxes, true_boxes = _boxes(given), _boxes(wanted)
    shaped = all(numbers(box, 4) for box in boxes.values())
    shaped = shaped and (bool(boxes) if response.task == "tracking" else timed)
    named = len(boxes.keys() & true_boxes.keys()) / max(1, len(true_boxes))
    return 0.5 * float(shaped) + 0.5 * named


def _object(text: Any) -> dict[str, Any]:
    found = read_json(text)
    return found if isinstance(found, dict) else {}


def _boxes(found: dict[str, Any]) -> dict[str, Any]:
    boxes = found.get("boxes")
    return boxes if isinstance(boxes, dict) else {}
