"""Responses to scores: as the reward pays them, and of the answer wherever it stands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_builders.sample import Sample
from orchestrator.evaluation.config import EvalConfig, EvaluationError, Imported
from orchestrator.evaluation.matching import answer_anywhere, anywhere, published_rule
from orchestrator.evaluation.predictions import Prediction
from reward_plugins.ota import answer_block
from reward_plugins.own import load_reward
from reward_plugins.reward import LETTER, compute_score, score_answer


@dataclass(frozen=True)
class Scored:
    """The scores of one checkpoint under one condition, aligned by position.

    Engine errors are not among them: they are neither right nor wrong.
    """

    samples: tuple[Sample, ...]
    predictions: tuple[Prediction, ...]
    letters: tuple[str | None, ...]
    """The option each response answers with; None where that is none, or several. Without options,
    the answer as it stands."""
    scores: NDArray[np.float64]
    """Of the answer wherever it stands, in [0, 1]: right, wrong, or graded."""
    rewarded: NDArray[np.float64]
    """The accuracy that the reward pays, which may demand the format."""
    formatted: NDArray[np.bool_]
    """The response has the blocks of the answer format, in order."""
    published: NDArray[np.float64]
    """Right (1) or wrong (0) by the rule of the benchmark's published rows; NaN without one."""
    errors: int
    """Questions that the engine failed on."""

    def subset(self, keep: Sequence[int]) -> Scored:
        """The verdicts at the positions `keep`, without errors."""
        return Scored(
            tuple(self.samples[i] for i in keep),
            tuple(self.predictions[i] for i in keep),
            tuple(self.letters[i] for i in keep),
            self.scores[list(keep)],
            self.rewarded[list(keep)],
            self.formatted[list(keep)],
            self.published[list(keep)],
            0,
        )


class Verdict(NamedTuple):
    """What one response is worth."""

    answer: str | None
    """The letter it answers with, or the answer of a question without options."""
    score: float
    rewarded: float
    formatted: bool


def score_predictions(
    samples: Sequence[Sample], predictions: Iterable[Prediction], config: EvalConfig, benchmark: str
) -> dict[tuple[str, str], Scored]:
    """Verdicts by (checkpoint, condition), on one benchmark.

    Raises `EvaluationError` where predictions are doubled, missing, empty, or of other questions.
    """
    by_id = {sample.id: sample for sample in samples}
    groups: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        groups[prediction.checkpoint, prediction.condition].append(prediction)
    wanted = [
        (name, condition)
        for name in answering(config, benchmark)
        for condition in conditions(config, name)
    ]
    faults = [fault for key in wanted for fault in _faults(by_id, groups[key], key)]
    if faults:
        raise EvaluationError(
            f"predictions on {benchmark}: {'; '.join(faults)}; evaluate again (make eval)"
        )
    return {key: _judge(by_id, groups[key], config) for key in wanted}


def answering(config: EvalConfig, benchmark: str) -> list[str]:
    """The checkpoints that answer a benchmark: all but files of answers to other ones."""
    return [
        name
        for name, checkpoint in config.checkpoints.items()
        if not isinstance(checkpoint, Imported) or benchmark in checkpoint.predictions
    ]


def conditions(config: EvalConfig, name: str) -> tuple[str, ...]:
    """Under which a checkpoint was asked: files of answers are to the clips as shown."""
    return ("shown",) if isinstance(config.checkpoints[name], Imported) else config.conditions


def _faults(
    by_id: dict[str, Sample], rows: Sequence[Prediction], key: tuple[str, str]
) -> list[str]:
    counts = Counter(row.sample_id for row in rows)
    problems = {
        "answered twice": [name for name, n in counts.items() if n > 1],
        "of another benchmark": [name for name in counts if name not in by_id],
        "without an answer": [name for name in by_id if name not in counts],
        "with neither response nor error": [
            row.sample_id for row in rows if row.response is None and row.error is None
        ],
    }
    return [
        f"{key[0]} ({key[1]}) has {len(ids)} {what}, such as {ids[0]!r}"
        for what, ids in problems.items()
        if ids
    ]


def _judge(by_id: dict[str, Sample], rows: Sequence[Prediction], config: EvalConfig) -> Scored:
    answered = [row for row in rows if row.error is None]
    samples = tuple(by_id[row.sample_id] for row in answered)
    pairs = list(zip(samples, (row.response or "" for row in answered), strict=True))
    verdicts = [_verdict(*pair, config) for pair in pairs]
    return Scored(
        samples=samples,
        predictions=tuple(answered),
        letters=tuple(verdict.answer for verdict in verdicts),
        scores=np.array([verdict.score for verdict in verdicts], dtype=float),
        rewarded=np.array([verdict.rewarded for verdict in verdicts], dtype=float),
        formatted=np.array([verdict.formatted for verdict in verdicts], dtype=bool),
        published=np.array([_by_published_rule(*pair) for pair in pairs], dtype=float),
        errors=len(rows) - len(answered),
    )


def _verdict(sample: Sample, response: str, config: EvalConfig) -> Verdict:
    """By the grader of its task; without one, the letter of an option or the recipe's own file."""
    task = config.tasks.get(sample.task, LETTER)
    info: dict[str, object] = {
        "sample_id": sample.id,
        "options": sample.options or None,
        "facts": sample.facts,
        "provenance": sample.provenance,
    }
    if task == LETTER and not sample.options:
        return _by_own_file(sample, response, info, config)
    paid = compute_score(
        sample.task,
        response,
        sample.truth,
        info,
        tasks={sample.task: task},
        gate_accuracy_on_format=config.gate_accuracy_on_format,
        matching=config.matching,
        min_block_chars=config.min_block_chars,
        tags=config.prompt.tags,
    )
    if task == LETTER:
        answer = anywhere(response, sample.options)
        score = float(answer == sample.answer)
    else:
        answer = answer_anywhere(response, task["grader"])
        score = score_answer(task, answer, sample.truth, info)
    return Verdict(answer, score, paid["accuracy"], paid["format"] > 0)


def _by_own_file(
    sample: Sample, response: str, info: dict[str, object], config: EvalConfig
) -> Verdict:
    if config.reward is None:
        raise EvaluationError(
            f"question {sample.id!r} has no options: say in `tasks` how {sample.task!r} is graded, "
            "or set rl.reward.function to what scores it"
        )
    truth = (sample.task, response, sample.truth)
    paid = load_reward(config.reward.function)(*truth, info, **config.reward.arguments)
    accuracy = paid["accuracy"]
    return Verdict(answer_block(response), accuracy, accuracy, paid["format"] > 0)


def _by_published_rule(sample: Sample, response: str) -> float:
    rule = published_rule(sample.dataset)
    return float("nan") if rule is None else float(rule(response, sample.options) == sample.answer)
