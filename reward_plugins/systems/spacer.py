"""SpaceR's map of the scene (arXiv 2504.01805; SG-RLVR.py:172-202, extract_map.py:621-750).

A response may hold `<map>{"chair": [[9, 3]], "table": [[0, 3], [5, 7]]}</map>`: the objects'
centres on a grid of 10 x 10. Unlike SpaceR, a map that is no JSON (in single quotes, say) is none:
SpaceR searches such a text for names and digits.
"""

from __future__ import annotations

import json
import re

from reward_plugins.grading import map_score, read_map
from reward_plugins.terms import Response

FACT = "cognitive_map"
_MAP = re.compile(r"<map>(.*?)</map>", re.DOTALL)


def scene_map(response: Response) -> float | None:
    """How near the map is to the sample's; None without one, 0 where the sample has none."""
    text = response.text
    if "<map>" not in text or "</map>" not in text:
        return None
    if FACT not in response.facts:
        return 0.0
    found = _MAP.search(text)
    truth = read_map(json.dumps(response.facts[FACT]))
    return map_score(read_map(found[1] if found else ""), truth)
