"""SpaceR's reward: a right answer earns more with a good map of the scene, nothing with a bad one.

One file, and two lines of the recipe:

    prompt.tags: [think, answer]
    rl.reward.function: examples/rewards/map_imagination.py:compute_score

Source: SpaceR (arXiv 2504.01805; SG-RLVR.py:58-232, extract_map.py:621-750). A response may hold
`<map>{"chair": [[9, 3]], "table": [[0, 3], [5, 7]]}</map>`, object centres on a 10 x 10 grid,
inside its think block: before it, the format fails, as SpaceR's does. The true map is the sample's
`facts["map"]`, in the same JSON. Unlike SpaceR, a map that is no JSON is no map: it searches
such a text for names and digits instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from reward_plugins import BrokenSampleError, answer_block, answer_letter, parse
from reward_plugins.grading import mean_relative_accuracy, number, numbers

GRID = 10
DIAGONAL = GRID * math.sqrt(2)
NUMERIC = "numerical"
"""The task whose answers are numbers; those of all others are letters."""
ENOUGH = 0.5
"""A numeric answer above this accuracy is right enough for its map to count."""
MOST_POINTS = 100
"""Of one kind of object; a map with more scores 0."""

Map = dict[str, list[list[float]]]
_MAP = re.compile(r"<map>(.*?)</map>", re.DOTALL)


def compute_score(
    data_source: str | None,
    solution_str: object,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    **_: Any,
) -> dict[str, float]:
    """SpaceR's sum: accuracy, the map's score where the answer is right, and format."""
    info = extra_info or {}
    text = solution_str if isinstance(solution_str, str) else ""
    well_formed = float(parse(text, ("think", "answer")) is not None)
    accuracy = _accuracy(data_source, answer_block(text), ground_truth, info)
    found, earned, place = _MAP.search(text), accuracy, 0.0
    if found and accuracy > (ENOUGH if data_source == NUMERIC else 0.0):
        place = map_score(_read(found[1]), _truth(info))
        earned = accuracy + place if place > 0 else 0.0
    scores = {"format": well_formed, "accuracy": accuracy, "map": place}
    return {"score": earned + well_formed, **scores}


def map_score(given: Map, truth: Map) -> float:
    """How near the points of `given` are to those of `truth`, in [0, 1].

    Nearest pairs of a kind are matched first and earn 1 - distance / diagonal; a kind's sum is
    divided by the larger number of points, and weighs as many as are true.
    """
    weights = {kind: len(points) for kind, points in truth.items()}
    if not any(weights.values()):
        return float(not any(given.values()))
    total = sum(_kind(given.get(kind, []), points) * len(points) for kind, points in truth.items())
    return total / sum(weights.values())


def _kind(given: list[list[float]], truth: list[list[float]]) -> float:
    if not given or not truth or len(given) > MOST_POINTS:
        return 0.0
    pairs = sorted(
        (math.dist(a, b), i, j) for i, a in enumerate(given) for j, b in enumerate(truth)
    )
    left, right, total = set(range(len(given))), set(range(len(truth))), 0.0
    for distance, i, j in pairs:
        if i in left and j in right:
            left.remove(i)
            right.remove(j)
            total += max(0.0, 1 - distance / DIAGONAL)
    return total / max(len(given), len(truth))


def _accuracy(task: str | None, answer: str | None, truth: str, info: Mapping[str, Any]) -> float:
    if task != NUMERIC:
        options = info.get("options")
        texts = json.loads(options) if isinstance(options, str) else options
        return float(answer_letter(answer, texts or None) == truth)
    wanted = number(truth)
    if wanted is None:
        raise BrokenSampleError(f"sample {info.get('sample_id')!r}: {truth!r} is no number")
    return mean_relative_accuracy(number(answer), wanted)


def _truth(info: Mapping[str, Any]) -> Map:
    given = info.get("facts", "{}")
    facts = json.loads(given) if isinstance(given, str) else given
    if "map" not in facts:
        raise BrokenSampleError(f"sample {info.get('sample_id')!r} has no facts['map']")
    return _read(json.dumps(facts["map"]))


def _read(text: str) -> Map:
    """Kinds in lower case and their points within the grid; none where it is no such JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    kinds = found.items() if isinstance(found, dict) else ()
    return {
        kind.lower(): [
            p for p in points if (xy := numbers(p, 2)) and all(0 <= v <= GRID for v in xy)
        ]
        for kind, points in kinds
        if isinstance(points, list)
    }
