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
import re
from collections.abc import Mapping
from typing import Any

from reward_plugins import BrokenSampleError, answer_block, answer_letter, parse
from reward_plugins.grading import Points, map_score, mean_relative_accuracy, number, read_map

NUMERIC = "numerical"
"""The task whose answers are numbers; those of all others are letters."""
ENOUGH = 0.5
"""A numeric answer above this accuracy is right enough for its map to count."""
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
        place = map_score(read_map(found[1]), _truth(info))
        earned = accuracy + place if place > 0 else 0.0
    scores = {"format": well_formed, "accuracy": accuracy, "map": place}
    return {"score": earned + well_formed, **scores}


def _accuracy(task: str | None, answer: str | None, truth: str, info: Mapping[str, Any]) -> float:
    if task != NUMERIC:
        options = info.get("options")
        texts = json.loads(options) if isinstance(options, str) else options
        return float(answer_letter(answer, texts or None) == truth)
    wanted = number(truth)
    if wanted is None:
        raise BrokenSampleError(f"sample {info.get('sample_id')!r}: {truth!r} is no number")
    return mean_relative_accuracy(number(answer), wanted)


def _truth(info: Mapping[str, Any]) -> dict[str, Points]:
    given = info.get("facts", "{}")
    facts = json.loads(given) if isinstance(given, str) else given
    if "map" not in facts:
        raise BrokenSampleError(f"sample {info.get('sample_id')!r} has no facts['map']")
    return read_map(json.dumps(facts["map"]))
