"""OneThinker's rewards: each task has its own measure, and EMA-GRPO normalises them by task.

One file, and three lines of the recipe:

    prompt.tags: [think, answer]
    rl.reward.function: examples/rewards/task_keyed.py:compute_score
    tasks: {multiple choice: {grader: letter}, regression: {grader: relative, rule: below}}

Source: OneThinker (arXiv 2512.03043; EasyR1/verl/reward_function/onethinker_reward.py). Left out
are its tasks that need a package or a server: open-ended (ROUGE or a reward model), math
(math-verify) and segmentation. Unlike OneThinker, an answer outside an answer block scores 0, and a
task that is not in `TASKS` is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from reward_plugins import BrokenSampleError, answer_block, answer_letter, parse
from reward_plugins.grading import (
    box_iou,
    interval_iou,
    mean_relative_accuracy,
    number,
    numbers,
    word_accuracy,
)

STRUCTURE = 0.5
"""Most that the shape of an answer earns, on top of accuracy and format."""


class Task(NamedTuple):
    """How answers of one task are scored; both functions take the answer and the truth."""

    accuracy: Callable[[str, str], float]
    structure: Callable[[str, str], float] = lambda answer, truth: 1.0
    """The share of `STRUCTURE` earned; every answer of a task without a structure earns it."""


def compute_score(
    data_source: str | None,
    solution_str: object,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    format_weight: float = 0.1,
    tags: tuple[str, ...] = ("think", "answer"),
    **_: Any,
) -> dict[str, float]:
    """(1 - λ)·accuracy + λ·format, and the structure's share in a well-formed response."""
    if data_source not in TASKS:
        name = (extra_info or {}).get("sample_id")
        raise BrokenSampleError(f"sample {name!r}: task {data_source!r} is none of {list(TASKS)}")
    task, answer = TASKS[data_source], answer_block(solution_str)
    well_formed = float(parse(solution_str, tags) is not None)
    accuracy = 0.0 if answer is None else task.accuracy(answer, ground_truth)
    shape = STRUCTURE * task.structure(answer or "", ground_truth) if well_formed else 0.0
    score = (1 - format_weight) * accuracy + format_weight * well_formed + shape
    return {"score": score, "format": well_formed, "accuracy": accuracy, "structure": shape}


def _letter(answer: str, truth: str) -> float:
    return float(answer_letter(answer) == truth)


def _same_number(answer: str, truth: str) -> float:
    given, wanted = number(answer), _true_number(truth)
    return float(given is not None and round(given, 2) == round(wanted, 2))


def _near_number(answer: str, truth: str) -> float:
    return mean_relative_accuracy(number(answer), _true_number(truth), strict=True)


def _interval(answer: str, truth: str) -> float:
    return interval_iou(_object(answer).get("time"), _object(truth).get("time"))


def _box(answer: str, truth: str) -> float:
    return box_iou(_object(answer).get("boxes"), _object(truth).get("boxes"))


def _tube(answer: str, truth: str) -> float:
    """Half the overlap in time, half the mean overlap of boxes in frames that both name."""
    given, wanted = _boxes(answer), _boxes(truth)
    common = given.keys() & wanted.keys()
    boxes = sum(box_iou(given[frame], wanted[frame]) for frame in common) / max(1, len(common))
    return 0.5 * _interval(answer, truth) + 0.5 * boxes


def _track(answer: str, truth: str) -> float:
    """The mean overlap of boxes over the true frames; one that is missing counts 0."""
    given, wanted = _boxes(answer), _boxes(truth)
    return sum(box_iou(given.get(frame), box) for frame, box in wanted.items()) / max(
        1, len(wanted)
    )


def _has_interval(answer: str, truth: str) -> float:
    return float(numbers(_object(answer).get("time"), 2) is not None)


def _has_box(answer: str, truth: str) -> float:
    return float(numbers(_object(answer).get("boxes"), 4) is not None)


def _has_boxes(answer: str, truth: str) -> float:
    """Half for boxes and nothing else, half for the share of the true frames that are named."""
    given, wanted = _boxes(answer), _boxes(truth)
    shaped = bool(given) and all(numbers(box, 4) for box in given.values())
    return 0.5 * shaped + 0.5 * len(given.keys() & wanted.keys()) / max(1, len(wanted))


def _has_tube(answer: str, truth: str) -> float:
    given, wanted = _boxes(answer), _boxes(truth)
    named = len(given.keys() & wanted.keys()) / max(1, len(wanted))
    shaped = _has_interval(answer, truth) and all(numbers(box, 4) for box in given.values())
    return 0.5 * bool(shaped) + 0.5 * named


TASKS = {
    "multiple choice": Task(_letter),
    "numerical": Task(_same_number),
    "regression": Task(_near_number),
    "ocr": Task(word_accuracy),
    "temporal grounding": Task(_interval, _has_interval),
    "spatial grounding": Task(_box, _has_box),
    "spatial-temporal grounding": Task(_tube, _has_tube),
    "tracking": Task(_track, _has_boxes),
}


def _true_number(truth: str) -> float:
    value = number(truth)
    if value is None:
        raise BrokenSampleError(f"ground truth {truth!r} is no number")
    return value


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _boxes(text: str) -> dict[str, Any]:
    found = _object(text).get("boxes")
    return found if isinstance(found, dict) else {}
