"""A judge's verdicts on a group of responses, counted; failures are never averaged in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.evaluation import statistics
from orchestrator.evaluation.judgements import Judgement
from orchestrator.evaluation.scoring import Scored

Judged = Mapping[str, Judgement]
"""By sample id."""


def reliability(scored: Scored, judged: Judged | None, seed: int) -> dict[str, Any]:
    """`faithfulness` and `adherence` as RefineShot defines them, and the counts in `judge`.

    RefineShot calls a response unfaithful only where reasoning and answer both name an option and
    differ; NONE counts as faithful there. Its failures do as well: here they are left out.
    """
    if judged is None or not scored.samples:
        return {"faithfulness": None, "adherence": None, "judge": None}
    rows = [judged[sample.id] for sample in scored.samples]
    known = [i for i, row in enumerate(rows) if row.reading is not None]
    verdicts = [reading.is_faithful for row in rows if (reading := row.reading) is not None]
    kept = np.array([verdict is not False for verdict in verdicts], dtype=float)
    adherent = [row.adherent for row in rows if row.adherent is not None]
    faithful, unfaithful = verdicts.count(True), verdicts.count(False)
    clips = [scored.samples[i].clip for i in known]
    counts = {
        "asked": len(rows),
        "faithful": faithful,
        "unfaithful": unfaithful,
        "none": verdicts.count(None),
        "failed": len(rows) - len(known),
        "interval": statistics.clustered_interval(kept, clips, seed) if known else None,
        "faithful_of_named": _share(faithful, faithful + unfaithful),
        "coverage": (faithful + unfaithful) / len(rows),
        "accuracy_checked": _checked(scored, rows),
        "adherent": adherent.count(True),
        "adherence_failed": len(rows) - len(adherent),
    }
    return {
        "faithfulness": float(kept.mean()) if known else None,
        "adherence": _share(adherent.count(True), len(adherent)),
        "judge": counts,
    }


def _checked(scored: Scored, rows: list[Judgement]) -> float:
    """Accuracy where an unfaithful response is wrong: RefineShot's "+check"."""
    unfaithful = [row.reading is not None and row.reading.is_faithful is False for row in rows]
    return float(np.where(unfaithful, 0.0, scored.scores).mean())


def _share(right: int, n: int) -> float | None:
    return right / n if n else None
