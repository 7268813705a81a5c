"""A stage's manifest: everything that tells how its result came about.

Text too long for it lies beside it in `provenance/`: what was installed in each environment, and
the code's difference from its commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

from orchestrator.plan.make import Plan
from orchestrator.plan.outputs import LISTING, hash_beside, hash_outputs, parse_listing
from orchestrator.plan.stage import Stage
from orchestrator.plan.whole import BESIDE, is_finished, modified, read_manifest
from orchestrator.run import provenance
from orchestrator.run.attempts import read_attempts
from reward_plugins.files import write_file

FOLDER = "provenance"
PATCH = "code.patch"


def origin(plan: Plan, stage: Stage) -> dict[str, Any]:
    """What is known, and may be lost, before a stage's first command: taken down as it starts."""
    beside = stage.directory / FOLDER
    recipe = plan.recipe.model_dump(mode="json")
    return {
        "run": plan.directory.name,
        "recipe": recipe,
        "seeds": dict(_seeds(recipe)),
        "files": {
            str(Path(name).relative_to(stage.directory)): text for name, text in stage.files.items()
        },
        "code": _code(beside),
        "environments": {
            name: _environment(name, beside)
            for name in dict.fromkeys(c.environment for c in stage.commands)
        },
        "inputs": _inputs(plan, stage),
    }


def result(stage: Stage) -> dict[str, Any]:
    """What the stage left. Reads all of it once, to hash it."""
    started = monotonic()
    outputs, listing = hash_outputs(stage.directory, {Path(name) for name in stage.files})
    write_file(stage.directory / LISTING, listing)
    return {
        "outputs": {**asdict(outputs), "hashing_seconds": round(monotonic() - started, 3)},
        BESIDE: hash_beside(stage.directory, parse_listing(listing)),
        "attempts": [asdict(attempt) for attempt in read_attempts(stage.directory)],
        "metrics": metrics(stage),
    }


def metrics(stage: Stage) -> dict[str, Any]:
    """Scores of an evaluation, or a trainer's last row of numbers and the check of its merge."""
    scores = stage.directory / "scores.json"
    if scores.is_file():
        return _overall(json.loads(scores.read_text()))
    check = stage.directory / "check.json"
    merge = {"merge": json.loads(check.read_text())} if check.is_file() else {}
    return {**_last_row(stage), **merge}


def _last_row(stage: Stage) -> dict[str, Any]:
    """Of a log that may be damaged: no more than a remark depends on it."""
    spec = stage.training.progress if stage.training else None
    if spec is None or not Path(spec.path).is_file():
        return {}
    key = spec.metric.rpartition(".")[2]
    for line in reversed(Path(spec.path).read_bytes().splitlines()):
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and key in {**row, **row.get("data", {})}:
                return row
    return {}


def _overall(scores: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured over all questions; `scores.json` has every group."""
    return {
        benchmark: {
            "n": board["n"],
            "baselines": board["baselines"]["all"],
            "checkpoints": {
                name: {c: checkpoint[c]["all"] for c in ("shown", "swapped") if c in checkpoint}
                for name, checkpoint in board["checkpoints"].items()
            },
        }
        for benchmark, board in scores["benchmarks"].items()
    }


def _code(beside: Path) -> dict[str, Any]:
    found, patch = provenance.code()
    if patch:
        write_file(beside / PATCH, patch)
    return found


def _environment(name: str, beside: Path) -> dict[str, str]:
    found, installed = provenance.environment(name)
    write_file(beside / f"{name}.txt", installed)
    return found


def _inputs(plan: Plan, stage: Stage) -> dict[str, dict[str, Any]]:
    """The stages that this one read, and the sum of what they had left."""
    read = [other for other in plan.stages if other is not stage and stage.reads(other)]
    return {other.name: _input(other) for other in read}


def _input(other: Stage) -> dict[str, Any]:
    made = read_manifest(other.directory) if is_finished(other.directory) else {}
    changed = modified(other.directory)
    return {
        "fingerprint": other.fingerprint,
        "sha256": made.get("outputs", {}).get("sha256"),
        **({"changed": changed} if changed else {}),
    }


def _seeds(value: Any, key: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _seeds(inner, f"{key}.{name}" if key else name)
    elif key.rpartition(".")[2] == "seed":
        yield key, value
