"""Ledgers to `predictions.parquet`: `python -m orchestrator.evaluation.collect <config.json>`."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from data_builders.media import names
from orchestrator.evaluation.config import (
    EvalConfig,
    EvaluationError,
    Imported,
    Server,
    run_command,
)
from orchestrator.evaluation.identity import identity
from orchestrator.evaluation.interop.answers import read_answers
from orchestrator.evaluation.ledger import Answer, opened
from orchestrator.evaluation.predictions import Prediction, write_predictions
from orchestrator.evaluation.questions import Asked, Question, asked
from orchestrator.evaluation.run import SERVED, question_keys
from reward_plugins.files import write_file

log = logging.getLogger(__name__)


def collect(config: EvalConfig) -> int:
    """Write every checkpoint's answer to every question, and return their number.

    `EvaluationError` where a question was never put (run again: it goes on), or where a checkpoint
    answered none.
    """
    boards = [asked(config, benchmark) for benchmark in config.benchmarks]
    rows = [row for name in config.checkpoints for row in _of_checkpoint(config, name, boards)]
    write_predictions(config.predictions, rows)
    _write_lacking(config, rows)
    return len(rows)


def _write_lacking(config: EvalConfig, rows: Sequence[Prediction]) -> None:
    """Say which models, if asked again, might answer more."""
    asked_of = Counter(row.checkpoint for row in rows)
    failed = Counter(row.checkpoint for row in rows if row.error is not None)
    sentences = [
        f"{name} has no answer to {count:,} of {asked_of[name]:,} questions"
        for name, count in failed.items()
        if not isinstance(config.checkpoints[name], Imported)
    ]
    config.lacking.unlink(missing_ok=True)
    if sentences:
        write_file(config.lacking, json.dumps(sentences))


def _of_checkpoint(config: EvalConfig, name: str, boards: list[Asked]) -> list[Prediction]:
    checkpoint = config.checkpoints[name]
    if isinstance(checkpoint, Imported):
        rows = [row for board in boards for row in _imported(name, checkpoint, board)]
        _check(name, rows)
        return rows
    model = identity(config, name)
    engine = SERVED if isinstance(checkpoint, Server) else config.engine
    with opened(config.answers, model) as ledger:
        found = [
            (board, question, ledger.get(key))
            for board in boards
            for key, question in question_keys(config, board, engine)
        ]
    rows = [
        _prediction(board, name, model, question, answer)
        for board, question, answer in found
        if answer is not None
    ]
    if len(rows) < len(found):
        raise EvaluationError(
            f"{name}: {len(found) - len(rows)} of {len(found)} questions were never put to it; "
            "run the evaluation again, it goes on from there"
        )
    _check(name, rows)
    return rows


def _imported(name: str, source: Imported, board: Asked) -> Iterator[Prediction]:
    """Answers to the clips as shown; what the file lacks counts as an error."""
    path = source.predictions.get(board.benchmark)
    if path is None:
        return
    given = read_answers(path, board.samples)
    model = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    for sample in board.samples:
        response = given.get(sample.id)
        answer = Answer(response, None if response is not None else f"no answer in {path}")
        yield _prediction(board, name, model, Question(sample, sample.media, "shown"), answer)


def _check(name: str, rows: list[Prediction]) -> None:
    failed = [row for row in rows if row.error is not None]
    if rows and len(failed) == len(rows):
        raise EvaluationError(
            f"{name}: no question was answered; the first error: {failed[0].error}"
        )
    if failed:
        log.warning(
            "%s: %d of %d questions have no answer and are left out of its scores",
            name, len(failed), len(rows),
        )  # fmt: skip


def _prediction(
    board: Asked, name: str, model: str, question: Question, answer: Answer
) -> Prediction:
    return Prediction(
        board.benchmark, name, model,
        question.sample.id, question.condition, names(question.media), *answer,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_command(collect, sys.argv[1:]))
