"""Responses to verdicts, by the reward's own reading of an answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_builders.sample import Sample
from orchestrator.evaluation.config import EvalConfig, EvaluationError
from orchestrator.evaluation.predictions import Prediction
from reward_plugins.ota import answer_block, answer_letter
from reward_plugins.reward import compute_score


@dataclass(frozen=True)
class Scored:
    """The verdicts on one checkpoint under one condition, aligned by position.

    Engine errors are not among them: they are neither right nor wrong.
    """

    samples: tuple[Sample, ...]
    predictions: tuple[Prediction, ...]
    letters: tuple[str | None, ...]
    """The option each response names; None where it names none, or several."""
    correct: NDArray[np.bool_]
    formatted: NDArray[np.bool_]
    """The response has the blocks of the answer format, in order."""
    errors: int
    """Questions that the engine failed on."""

    def subset(self, keep: Sequence[int]) -> Scored:
        """The verdicts at the positions `keep`, without errors."""
        return Scored(
            tuple(self.samples[i] for i in keep),
            tuple(self.predictions[i] for i in keep),
            tuple(self.letters[i] for i in keep),
            self.correct[list(keep)],
            self.formatted[list(keep)],
            0,
        )


def score_predictions(
    samples: Sequence[Sample], predictions: Iterable[Prediction], config: EvalConfig
) -> dict[tuple[str, str], Scored]:
    """Verdicts by (checkpoint, condition).

    Raises `EvaluationError` where predictions are doubled, missing, or of other questions.
    """
    by_id = {sample.id: sample for sample in samples}
    groups: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        groups[prediction.checkpoint, prediction.condition].append(prediction)
    for name in config.checkpoints:
        for condition in ("shown", "swapped") if config.swap_control else ("shown",):
            _check_complete(by_id, groups[name, condition], f"{name} ({condition})")
    return {key: _judge(by_id, rows, config) for key, rows in groups.items()}


def _check_complete(by_id: dict[str, Sample], rows: list[Prediction], where: str) -> None:
    counts = Counter(row.sample_id for row in rows)
    problems = {
        "answered twice": [name for name, n in counts.items() if n > 1],
        "of another benchmark": [name for name in counts if name not in by_id],
        "without an answer": [name for name in by_id if name not in counts],
    }
    found = [f"{len(ids)} {what}, such as {ids[0]!r}" for what, ids in problems.items() if ids]
    if found:
        raise EvaluationError(
            f"predictions of {where}: {'; '.join(found)}; evaluate again (make eval)"
        )


def _judge(by_id: dict[str, Sample], rows: list[Prediction], config: EvalConfig) -> Scored:
    answered = [row for row in rows if row.error is None]
    samples = tuple(by_id[row.sample_id] for row in answered)
    verdicts = [
        compute_score(
            sample.task,
            row.response,
            sample.answer,
            {"options": sample.options, "sample_id": sample.id},
            gate_accuracy_on_format=False,
            matching=config.matching,
            tags=config.prompt.tags,
        )
        for sample, row in zip(samples, answered, strict=True)
    ]
    return Scored(
        samples=samples,
        predictions=tuple(answered),
        letters=tuple(
            answer_letter(answer_block(row.response), sample.options)
            for sample, row in zip(samples, answered, strict=True)
        ),
        correct=np.array([verdict["accuracy"] > 0 for verdict in verdicts], dtype=bool),
        formatted=np.array([verdict["format"] > 0 for verdict in verdicts], dtype=bool),
        errors=len(rows) - len(answered),
    )
