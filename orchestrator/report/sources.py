"""What a run directory holds so far. A stage that hasn't run yet is missing, not an error."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from data_builders.frames import FrameIndex
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.predictions import Prediction, read_predictions
from orchestrator.evaluation.questions import asked
from orchestrator.evaluation.scoring import Scored, score_predictions
from orchestrator.recipe.stages import fill_stages
from orchestrator.run import history
from reward_plugins.errors import CamReasonerError

Row = dict[str, Any]


class ReportError(CamReasonerError, ValueError):
    """A run directory whose files can't be read."""


class Training(NamedTuple):
    """What a stage that trains has logged so far."""

    name: str
    rows: list[Row]
    """Metrics by step: the trainer's own keys, and `step`."""
    rollouts: dict[int, Path]
    """Files of sampled responses, by step, as verl writes them: one response a line."""

    @property
    def failed_responses(self) -> int:
        """Responses of all steps that are missing because the rollout server failed."""
        return int(sum(row.get("training/failed_responses", 0) for row in self.rows))


@dataclass(frozen=True)
class Run:
    """The recipe and the directories of a run's stages, finished or not."""

    recipe: Mapping[str, Any]
    stages: Mapping[str, Path]

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.recipe.get("name", "run"))

    @cached_property
    def scores(self) -> Row | None:
        """What `orchestrator.evaluation.score` wrote."""
        path = self._file("eval", "scores.json")
        return None if path is None else read_json(path)

    @cached_property
    def config(self) -> EvalConfig | None:
        """What the evaluation was asked to do."""
        path = self._file("eval", "eval.json")
        return None if path is None else EvalConfig.model_validate_json(path.read_text())

    def index(self, benchmark: str) -> FrameIndex:
        """The frames that the checkpoints saw."""
        assert self.config is not None
        return asked(self.config, benchmark).frames

    @cached_property
    def answers(self) -> dict[str, dict[str, Scored]]:
        """By benchmark, the verdicts on each checkpoint's answers to the clips as shown."""
        config = self.config
        if config is None or self.scores is None:
            return {}
        rows: dict[str, list[Prediction]] = defaultdict(list)
        for row in read_predictions(config.predictions):
            rows[row.benchmark].append(row)
        return {name: self._verdicts(config, name, rows[name]) for name in config.benchmarks}

    @staticmethod
    def _verdicts(config: EvalConfig, benchmark: str, rows: list[Prediction]) -> dict[str, Scored]:
        samples = asked(config, benchmark).samples
        scored = score_predictions(samples, rows, config, benchmark)
        return {name: each for (name, condition), each in scored.items() if condition == "shown"}

    @cached_property
    def training(self) -> list[Training]:
        """The stages that train, in the order they run."""
        specs = fill_stages(self.recipe)
        return [
            Training(
                name,
                [_with_kept_share(row, spec.get("prompts_per_step")) for row in history.read(path)],
                dict(sorted((int(f.stem), f) for f in path.glob("rollouts/*.jsonl"))),
            )
            for name, path in self.stages.items()
            if (spec := specs.get(name)) is not None and spec["kind"] != "sample"
        ]

    @cached_property
    def data_findings(self) -> list[str]:
        """What the audit of the questions found: test clips in training, answers by text alone.

        And what stages of sampling had to do without.
        """
        path = self._file("data", "audit.json")
        found = [] if path is None else list(read_json(path)["findings"])
        kept = {name: self._file(name, "kept.json") for name in self.stages}
        counts = {name: read_json(path) for name, path in kept.items() if path is not None}
        return found + [
            f"{name}: {own['failed']:,} of {own['responses']:,} responses failed, and the clips of "
            f"{own['unreadable']:,} questions can't be read"
            for name, own in counts.items()
            if own["failed"] or own["unreadable"]
        ]

    @cached_property
    def manifests(self) -> dict[str, Row]:
        """The manifest of every finished stage."""
        paths = {name: self._file(name, "manifest.json") for name in self.stages}
        return {name: read_json(path) for name, path in paths.items() if path is not None}

    def _directory(self, stage: str) -> Path:
        return self.stages.get(stage, Path("/nonexistent"))

    def _file(self, stage: str, name: str) -> Path | None:
        path = self._directory(stage) / name
        return path if path.is_file() else None


def _with_kept_share(row: Row, batch: int | None) -> Row:
    """The metrics of a step, with the share of its groups that filtering kept where it is known."""
    generated = row.get("training/filter_groups/generated_prompts")
    return {**row, "groups/kept_share": batch / generated} if batch and generated else row


def read_run(directory: Path) -> Run:
    """The run in `runs/<name>`; `FileNotFoundError` where it holds no recipe."""
    recipe = directory / "recipe.json"
    if not recipe.is_file():
        raise FileNotFoundError(f"{directory} is no run directory: it has no recipe.json")
    content = read_json(recipe)
    names = ("data", "model", *(content.get("stages") or ()), "eval")
    return Run(content, {name: directory / name for name in names})


def read_json(path: Path) -> Row:
    """The object in a JSON file; `ReportError` names a file that holds something else."""
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise ReportError(f"{path} is not JSON ({error}); run its stage again") from error
    if not isinstance(value, dict):
        raise ReportError(f"{path} holds a {type(value).__name__}, not an object")
    return value
