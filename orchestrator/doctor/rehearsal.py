"""Has the recipe been rehearsed before it takes GPUs for days?"""

from __future__ import annotations

import json
from collections.abc import Iterator

from orchestrator.doctor.machine import Verdict
from orchestrator.plan.make import Plan

TABLE = "rehearsal.json"
"""In the run's folder (`orchestrator/rehearse/report.py`)."""


def rehearsal(plan: Plan) -> Iterator[Verdict]:
    """What the last rehearsal found; on a CPU there is nothing to rehearse for."""
    if plan.recipe.cluster.device == "cpu":
        return
    path, command = plan.directory / TABLE, f"make rehearse RECIPE={plan.recipe.name}"
    if not path.is_file():
        yield None, f"rehearsal: none yet; `{command}` runs all that this recipe names, in small"
        return
    rows = json.loads(path.read_text())["invariants"]
    wrong = [row["name"] for row in rows if not row["right"]]
    if wrong:
        yield False, f"rehearsal: {'; '.join(wrong)} did not hold; see {path}, then `{command}`"
    else:
        yield True, f"rehearsal: all {len(rows)} invariants held; see {path}"
