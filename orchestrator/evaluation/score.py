"""From predictions to `scores.json`: `python -m orchestrator.evaluation.score <config.json>`."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from data_builders.sample import Sample
from orchestrator.evaluation import statistics
from orchestrator.evaluation.config import EvalConfig, run_command
from orchestrator.evaluation.predictions import Prediction, read_predictions
from orchestrator.evaluation.questions import asked
from orchestrator.evaluation.scoring import Scored, score_predictions

log = logging.getLogger(__name__)

MAX_CONFUSED = 40
"""A confusion table of more answers than this can't be read."""


def score(config: EvalConfig) -> dict[str, Any]:
    """Every score of this evaluation, written to `scores.json` and returned.

    Those of each benchmark are under "benchmarks"; those of the first stand beside it too. Raises
    `EvaluationError` for predictions that no score could be trusted from.
    """
    predictions = read_predictions(config.predictions)
    benchmarks = {
        name: score_benchmark(config, name, [p for p in predictions if p.benchmark == name])
        for name in config.benchmarks
    }
    scores = {**next(iter(benchmarks.values())), "benchmarks": benchmarks}
    _write(config.scores, scores)
    return scores


def score_benchmark(
    config: EvalConfig, benchmark: str, predictions: Sequence[Prediction]
) -> dict[str, Any]:
    """The scores of one benchmark.

    Groups are "all", "dataset/...", "task/..." and "category/...".
    """
    _, samples, index = asked(config, benchmark)
    scored = score_predictions(samples, predictions, config)
    names = list(config.checkpoints)
    scores: dict[str, Any] = {
        "n": len(samples),
        "clips": len({sample.clip for sample in samples}),
        "quarantined": [list(clip) for clip in index.quarantined],
        "matching": config.matching,
        "baselines": _baselines(samples),
        "checkpoints": {name: _checkpoint(name, scored, config) for name in names},
        "pairs": [p for a, b in combinations(names, 2) for p in _pair(a, b, scored, config.seed)],
    }
    for name in names:
        _warn(name, scores["checkpoints"][name]["shown"]["all"])
    return scores


def group_names(sample: Sample) -> tuple[str, ...]:
    """The groups that a sample counts in."""
    named = ("dataset", sample.dataset), ("task", sample.task), ("category", sample.category)
    return ("all", *(f"{kind}/{name}" for kind, name in named))


def _baselines(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """By group. The text-only rules are learnt once, from all questions: a group's name may tell
    the answer, and no policy is told it."""
    members: dict[str, list[int]] = defaultdict(list)
    for position, sample in enumerate(samples):
        for name in group_names(sample):
            members[name].append(position)
    hits = statistics.text_only_hits(samples)
    found = {}
    for name, positions in sorted(members.items()):
        rows = [samples[i] for i in positions]
        found[name] = {
            "n": len(rows),
            "clips": len({sample.clip for sample in rows}),
            "chance": statistics.chance(rows),
            "majority": statistics.majority(rows),
            "text_only": float(hits[:, positions].mean(axis=1).max()),
        }
    return found


def _checkpoint(
    name: str, scored: dict[tuple[str, str], Scored], config: EvalConfig
) -> dict[str, Any]:
    conditions = [condition for checkpoint, condition in scored if checkpoint == name]
    shown = scored[name, "shown"]
    return {
        "path": str(config.checkpoints[name]),
        "model": shown.predictions[0].model if shown.predictions else None,
        **{condition: _groups(scored[name, condition], config.seed) for condition in conditions},
        "confusion": _confusion(shown),
    }


def _groups(scored: Scored, seed: int) -> dict[str, Any]:
    members: dict[str, list[int]] = defaultdict(list)
    for position, sample in enumerate(scored.samples):
        for name in group_names(sample):
            members[name].append(position)
    scores = {
        name: _score(scored.subset(positions), seed) for name, positions in sorted(members.items())
    }
    of_categories = [s["accuracy"] for name, s in scores.items() if name.startswith("category/")]
    overall = scores.setdefault("all", {"n": 0})
    overall["errors"] = scored.errors
    overall["macro_accuracy"] = float(np.mean(of_categories)) if of_categories else None
    return scores


def _score(scored: Scored, seed: int) -> dict[str, Any]:
    n, right = len(scored.samples), int(scored.correct.sum())
    clips = [sample.clip for sample in scored.samples]
    values = scored.correct.astype(np.float64)
    return {
        "n": n,
        "correct": right,
        "accuracy": right / n,
        "wilson": statistics.wilson(right, n),
        "bootstrap": statistics.clustered_interval(values, clips, seed),
        "balanced_accuracy": statistics.balanced_accuracy(scored.samples, scored.correct),
        "f1": statistics.f1(scored.samples, scored.letters),
        "format": float(scored.formatted.mean()),
        "answered": sum(letter is not None for letter in scored.letters) / n,
        "tokens": float(np.mean([row.tokens for row in scored.predictions])),
        "seconds": float(np.mean([row.seconds for row in scored.predictions])),
    }


def _pair(
    first: str, second: str, scored: dict[tuple[str, str], Scored], seed: int
) -> list[dict[str, Any]]:
    """The second checkpoint against the first, on what both answered; Holm within each kind."""
    a, b = scored[first, "shown"], scored[second, "shown"]
    places = {sample.id: position for position, sample in enumerate(b.samples)}
    both = [(i, places[s.id]) for i, s in enumerate(a.samples) if s.id in places]
    members: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for i, j in both:
        for name in group_names(a.samples[i]):
            members[name].append((i, j))
    tests = {
        name: statistics.paired(
            a.correct[[i for i, _ in rows]],
            b.correct[[j for _, j in rows]],
            [a.samples[i].clip for i, _ in rows],
            seed,
        )
        for name, rows in sorted(members.items())
    }
    corrected: dict[str, float] = {}
    for kind in sorted({name.partition("/")[0] for name in tests}):
        family = [name for name in tests if name.partition("/")[0] == kind]
        corrected |= zip(family, statistics.holm([tests[name].p for name in family]), strict=True)
    return [
        {
            "first": first,
            "second": second,
            "group": name,
            **test._asdict(),
            "p_holm": corrected[name],
        }
        for name, test in tests.items()
    ]


def _confusion(scored: Scored) -> dict[str, dict[str, int]] | None:
    """Right answer's text -> given answer's text -> count; None where the table is too large."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for sample, letter in zip(scored.samples, scored.letters, strict=True):
        if len(sample.options) > 2:
            given = (
                "(no answer)" if letter is None else sample.options[sample.letters.index(letter)]
            )
            table[sample.answer_text][given] += 1
    return (
        {truth: dict(row) for truth, row in sorted(table.items())}
        if len(table) <= MAX_CONFUSED
        else None
    )


def _warn(name: str, overall: dict[str, Any]) -> None:
    if overall["errors"]:
        log.warning(
            "%s: %d questions failed in the engine and are not scored", name, overall["errors"]
        )
    if overall["n"] and overall["answered"] == 0:
        log.warning("%s: none of its %d responses names an option", name, overall["n"])


def _write(path: Path, scores: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(scores, indent=1))
    os.replace(partial, path)


if __name__ == "__main__":
    sys.exit(run_command(score, sys.argv[1:]))
