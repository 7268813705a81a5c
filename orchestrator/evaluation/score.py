"""From predictions to `scores.json`: `python -m orchestrator.evaluation.score <config.json>`."""

from __future__ import annotations

import json
import logging
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from orchestrator.evaluation import baselines, measures
from orchestrator.evaluation.compare import compare
from orchestrator.evaluation.config import EvalConfig, EvaluationError, Server, run_command
from orchestrator.evaluation.interop.results import read_results
from orchestrator.evaluation.judgements import Judgement, read_judgements
from orchestrator.evaluation.predictions import Prediction, read_predictions
from orchestrator.evaluation.questions import asked
from orchestrator.evaluation.reliability import Judged
from orchestrator.evaluation.scoring import Scored, answering, score_predictions
from orchestrator.evaluation.served import read_told
from orchestrator.evaluation.summary import Dollars, summarise
from reward_plugins.files import write_file

log = logging.getLogger(__name__)

JudgedBy = Mapping[tuple[str, str], Judged]
"""By benchmark and checkpoint; nothing where nobody judged."""


def score(config: EvalConfig) -> dict[str, Any]:
    """Every score of this evaluation by benchmark, written to `scores.json` and returned.

    Raises `EvaluationError` for predictions that no score could be trusted from.
    """
    predictions: dict[str, list[Prediction]] = defaultdict(list)
    for row in read_predictions(config.predictions):
        predictions[row.benchmark].append(row)
    if foreign := sorted(set(predictions) - set(config.benchmarks)):
        raise EvaluationError(
            f"{config.predictions} has answers to {', '.join(foreign)}, but the recipe evaluates "
            f"{', '.join(config.benchmarks)}; evaluate again (make eval)"
        )
    judged = _judged(config)
    scores = {
        "matching": config.matching,
        "judge": config.judge and json.loads(config.calibration.read_text()),
        "benchmarks": {
            name: score_benchmark(config, name, predictions[name], judged)
            for name in config.benchmarks
        },
        "external": _external(config),
    }
    write_file(config.scores, json.dumps(scores, indent=1))
    return scores


def _external(config: EvalConfig) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What lmms-eval measured, by checkpoint and task."""
    if config.external is None:
        return {}
    here = [name for name, given in config.checkpoints.items() if isinstance(given, Path)]
    return {
        name: {
            task: [row._asdict() for row in rows]
            for task, rows in read_results(config.external, name).items()
        }
        for name in here
    }


def score_benchmark(
    config: EvalConfig, benchmark: str, predictions: Sequence[Prediction], judged: JudgedBy
) -> dict[str, Any]:
    """The scores on one benchmark.

    Groups are "all", "dataset/...", "task/..." and "category/...".
    """
    _, samples, index = asked(config, benchmark)
    scored = score_predictions(samples, predictions, config, benchmark)
    names = answering(config, benchmark)
    checkpoints = {
        name: _checkpoint(name, scored, config, judged.get((benchmark, name))) for name in names
    }
    for name in names:
        _warn(f"{name} on {benchmark}", checkpoints[name]["shown"]["all"])
    return {
        "n": len(samples),
        "clips": len({sample.clip for sample in samples}),
        "quarantined": [list(clip) for clip in index.quarantined],
        "baselines": baselines.by_group(samples),
        "checkpoints": checkpoints,
        "pairs": [
            {"first": first, "second": second, "group": group, **test}
            for first, second in combinations(names, 2)
            for group, test in compare(
                scored[first, "shown"], scored[second, "shown"], config.seed
            ).items()
        ],
    }


def _judged(config: EvalConfig) -> JudgedBy:
    found: dict[tuple[str, str], dict[str, Judgement]] = defaultdict(dict)
    for row in read_judgements(config.judgements) if config.judge else ():
        found[row.benchmark, row.checkpoint][row.sample_id] = row
    return found


def _checkpoint(
    name: str,
    scored: dict[tuple[str, str], Scored],
    config: EvalConfig,
    judged: Judged | None,
) -> dict[str, Any]:
    shown = scored[name, "shown"]
    price = _price(config, name)
    return {
        "path": str(config.checkpoints[name]),
        "served": _served(config, name),
        "model": shown.predictions[0].model if shown.predictions else None,
        **{
            condition: summarise(
                rows, config.seed, config.metrics, price, judged if condition == "shown" else None
            )
            for (checkpoint, condition), rows in scored.items()
            if checkpoint == name
        },
        "confusion": measures.confusion(shown.samples, shown.letters),
    }


def _served(config: EvalConfig, name: str) -> dict[str, Any] | None:
    is_served = isinstance(config.checkpoints[name], Server)
    return read_told(config)[name].model_dump() if is_served else None


def _price(config: EvalConfig, name: str) -> Dollars | None:
    checkpoint = config.checkpoints[name]
    return checkpoint.endpoint.dollars_per_million if isinstance(checkpoint, Server) else None


def _warn(where: str, overall: dict[str, Any]) -> None:
    if overall["errors"]:
        log.warning(
            "%s: %d questions failed in the engine and are not scored", where, overall["errors"]
        )
    if overall["n"] and overall["answered"] == 0:
        log.warning("%s: none of its %d responses names an option", where, overall["n"])


if __name__ == "__main__":
    sys.exit(run_command(score, sys.argv[1:]))
