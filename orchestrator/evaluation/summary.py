"""One checkpoint's scores on one benchmark, by group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_builders.specs import Metric
from orchestrator.evaluation import measures, statistics
from orchestrator.evaluation.groups import members
from orchestrator.evaluation.reliability import Judged, reliability
from orchestrator.evaluation.scoring import Scored

Dollars = tuple[float, float]
"""Of a million prompt tokens and of a million answer tokens."""


def summarise(
    scored: Scored,
    seed: int,
    metrics: Mapping[str, Metric],
    price: Dollars | None = None,
    judged: Judged | None = None,
) -> dict[str, Any]:
    """Scores by group. Engine errors count in none of them; "all" says how many there were."""
    scores = {}
    for name, positions in members(scored.samples).items():
        rows = scored.subset(positions)
        kind, _, task = name.partition("/")
        scores[name] = {
            **_score(rows, seed),
            "metric": _metric(rows, metrics.get(task, "mean")) if kind == "task" else None,
            **_costs(rows, price),
            **reliability(rows, judged, seed),
        }
    scores.setdefault("all", {"n": 0})["errors"] = scored.errors
    return scores


def _score(scored: Scored, seed: int) -> dict[str, Any]:
    n, is_graded = len(scored.samples), not set(scored.scores.tolist()) <= {0.0, 1.0}
    closed = all(sample.options for sample in scored.samples)
    clips = [sample.clip for sample in scored.samples]
    ranked = _ranking(scored)
    return {
        "n": n,
        "clips": len(set(clips)),
        "accuracy": float(scored.scores.mean()),
        "interval": statistics.score_interval(scored.scores, clips, seed),
        "wilson_per_question": (
            None if is_graded else statistics.wilson(int(scored.scores.sum()), n)
        ),
        "rewarded": float(scored.rewarded.mean()),
        "macro_accuracy": _macro(scored),
        "pair_accuracy": _pairs(scored),
        "published_rule": _share(scored),
        "balanced_accuracy": (
            measures.balanced_accuracy(scored.samples, scored.scores) if closed else None
        ),
        "f1": measures.f1(scored.samples, scored.letters) if closed else None,
        "ranking": None if ranked is None else ranked._asdict(),
        "macro_ap": None if ranked is None else _macro_ap(scored),
        "format": float(scored.formatted.mean()),
        "answered": sum(letter is not None for letter in scored.letters) / n,
    }


def _metric(scored: Scored, metric: Metric) -> dict[str, Any]:
    """What a task is reported by, with its name."""
    if metric == "mean_of_categories":
        value = _macro(scored)
    elif metric == "mean":
        value = float(scored.scores.mean())
    else:
        value = float((scored.scores >= float(metric.removeprefix("R@"))).mean())
    return {"name": metric, "value": value}


def _macro(scored: Scored) -> float:
    """Mean of the categories' accuracies: each category counts the same."""
    _, index = np.unique([sample.category for sample in scored.samples], return_inverse=True)
    return float(np.mean(np.bincount(index, weights=scored.scores) / np.bincount(index)))


def _ranking(scored: Scored) -> measures.Ranking | None:
    return measures.ranking(scored.samples, [row.probabilities for row in scored.predictions])


def _macro_ap(scored: Scored) -> float | None:
    """Mean over the categories of their average precision, of those that have one."""
    ranked = [
        _ranking(scored.subset(positions))
        for name, positions in members(scored.samples).items()
        if name.startswith("category/")
    ]
    found = [each.ap for each in ranked if each is not None and each.ap is not None]
    return float(np.mean(found)) if found else None


def _pairs(scored: Scored) -> float | None:
    """Share of CameraBench's pairs with every question right (two clips a pair, chance a quarter).

    None where questions come in no pairs. A pair that lacks an answer is left out.
    """
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for sample, score in zip(scored.samples, scored.scores.tolist(), strict=True):
        if (pair := sample.provenance.get("pair")) is None:
            return None
        verdicts[pair].append(score == 1)
    whole = max(map(len, verdicts.values()))
    return float(np.mean([all(each) for each in verdicts.values() if len(each) == whole]))


def _share(scored: Scored) -> float | None:
    """Accuracy by the rule of the published rows; None where some question has none."""
    share = float(scored.published.mean())
    return None if np.isnan(share) else share


def _costs(scored: Scored, price: Dollars | None) -> dict[str, float | None]:
    """Means of one question."""
    rows = scored.predictions
    tokens = float(np.mean([row.tokens for row in rows]))
    prompt = float(np.mean([row.prompt_tokens for row in rows]))
    return {
        "tokens": tokens,
        "prompt_tokens": prompt,
        "seconds": float(np.mean([row.seconds for row in rows])),
        "dollars": None if price is None else (prompt * price[0] + tokens * price[1]) / 1e6,
    }
