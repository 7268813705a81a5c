"""Put the held-out questions to each checkpoint; every batch is on disk before the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from data_builders.frames import FrameCacheError, FrameIndex
from data_builders.prompt import user_text
from orchestrator.evaluation.config import EvalConfig, EvaluationError
from orchestrator.evaluation.engines import Engine, EngineError, Request, Response, open_engine
from orchestrator.evaluation.ledger import Ledger, Prediction, model_hash, question_key
from orchestrator.evaluation.questions import Question, ask, select

log = logging.getLogger(__name__)

Open = Callable[[str, Path, int], Engine]


def evaluate(
    config: EvalConfig,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
    open_: Open = open_engine,
) -> int:
    """Answer what is not in the ledger yet, write `predictions.parquet`, return its row count.

    Questions whose clip is quarantined are left out. `progress` is called with the checkpoint's
    name, the questions answered and the questions in all.
    """
    index = FrameIndex.read(config.frame_index, config.frames)
    samples = [sample for sample in select(config) if sample.clip in index.clips]
    questions = ask(samples, config.swap_control, config.seed)
    ledger = Ledger(config.ledger)
    keys: list[str] = []
    total, done = len(questions) * len(config.checkpoints), 0
    # All weights are hashed first: a missing checkpoint shows before hours of work.
    models = {name: model_hash(path) for name, path in config.checkpoints.items()}
    for name, path in config.checkpoints.items():
        session = _Session(config, name, models[name], index)
        keyed = [(session.key(question), question) for question in questions]
        keys += [key for key, _ in keyed]
        waiting = [(key, question) for key, question in keyed if key not in ledger]
        done += len(keyed) - len(waiting)
        progress(name, done, total)
        engine = open_(config.engine, path, config.max_new_tokens) if waiting else None
        for batch in _batches(waiting, config.batch_size):
            assert engine is not None
            ledger.append(session.answer(engine, batch))
            done += len(batch)
            progress(name, done, total)
    return _export(config, ledger, keys)


def _export(config: EvalConfig, ledger: Ledger, keys: Sequence[str]) -> int:
    failed = [ledger[key] for key in keys if key not in ledger]
    if len(failed) == len(keys):
        raise EvaluationError(f"no question was answered; the first error: {failed[0].error}")
    if failed:
        log.warning(
            "%d of %d answers are engine errors; run again to retry", len(failed), len(keys)
        )
    return ledger.export(config.predictions, keys)


class _Session:
    """One checkpoint answering."""

    def __init__(self, config: EvalConfig, name: str, model: str, index: FrameIndex) -> None:
        self.config, self.name, self.model, self.index = config, name, model, index
        self._frames = lru_cache(maxsize=8)(index.load)

    def key(self, question: Question) -> str:
        text = user_text(question.sample, self.config.prompt)
        return question_key(question, text, self.index.meta(question.clip), self.model, self.config)

    def answer(
        self, engine: Engine, batch: Sequence[tuple[str, Question]]
    ) -> list[tuple[str, Prediction]]:
        started = time.monotonic()
        outcomes = self._outcomes(engine, [question for _, question in batch])
        seconds = (time.monotonic() - started) / len(batch)
        return [
            (key, self._prediction(question, outcome, seconds))
            for (key, question), outcome in zip(batch, outcomes, strict=True)
        ]

    def _outcomes(self, engine: Engine, questions: Sequence[Question]) -> list[Response | str]:
        """Responses, or what went wrong; a batch that fails is tried again one by one."""
        try:
            return list(engine.answer([self._request(question) for question in questions]))
        except (EngineError, FrameCacheError) as error:
            if len(questions) == 1:
                log.warning("%s: %s", questions[0].sample.id, error)
                return [str(error)]
        return [self._outcomes(engine, [question])[0] for question in questions]

    def _request(self, question: Question) -> Request:
        frames, meta = self._frames(question.clip)
        prompt = self.config.prompt
        return Request(prompt.system, user_text(question.sample, prompt), frames, meta)

    def _prediction(
        self, question: Question, outcome: Response | str, seconds: float
    ) -> Prediction:
        text, tokens, error = (None, 0, outcome) if isinstance(outcome, str) else (*outcome, None)
        return Prediction(
            checkpoint=self.name,
            model=self.model,
            sample_id=question.sample.id,
            condition=question.condition,
            clip=question.clip,
            response=text,
            error=error,
            tokens=tokens,
            seconds=seconds,
        )


def _batches(
    rows: Sequence[tuple[str, Question]], size: int
) -> Iterator[Sequence[tuple[str, Question]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
