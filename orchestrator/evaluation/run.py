"""Put the questions to each checkpoint; every batch is on disk before the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Literal, NamedTuple

from data_builders.decoding import Frames
from data_builders.frames import FrameCacheError, FrameIndex, FrameMeta
from data_builders.prompt import text_between
from orchestrator.evaluation.config import EvalConfig, Server
from orchestrator.evaluation.engines import (
    Engine,
    EngineError,
    Outcome,
    Request,
    answer_each,
    make_request,
    open_engine,
)
from orchestrator.evaluation.identity import identity
from orchestrator.evaluation.ledger import Answer, opened, question_key
from orchestrator.evaluation.pool import engines, spread
from orchestrator.evaluation.questions import Asked, Question, asked

log = logging.getLogger(__name__)

SERVED = "openai"
"""The engine of models behind servers."""
Where = Literal["here", "served"]
"""Checkpoints that this process loads, or those behind servers: they need other environments."""
Open = Callable[..., Engine]
Progress = Callable[[str, int, int], None]


class Item(NamedTuple):
    """A question of a benchmark."""

    board: Asked
    question: Question

    @property
    def frames(self) -> list[str]:
        """The keys of what it shows."""
        return [self.board.frames.meta(each.name).key for each in self.question.media]


def evaluate(
    config: EvalConfig,
    where: Where = "here",
    progress: Progress = lambda name, done, total: None,
    open_: Open = open_engine,
) -> int:
    """Answer what is not in the ledgers yet, and return how many questions that was.

    Questions whose clip is quarantined are left out. `progress` is called with the checkpoint's
    name, the questions answered and the questions in all.
    """
    kind, engine = (Path, config.engine) if where == "here" else (Server, SERVED)
    mine = {name: given for name, given in config.checkpoints.items() if isinstance(given, kind)}
    items = _items(config, engine)
    total, done, new = len(items) * len(mine), 0, 0
    # All weights are hashed first: a missing checkpoint shows before hours of work.
    models = {name: identity(config, name) for name in mine}
    for name, given in mine.items():
        with opened(config.answers, models[name]) as ledger:
            waiting = {key: item for key, item in items.items() if key not in ledger}
            done += len(items) - len(waiting)
            progress(name, done, total)
            if not waiting:
                continue
            settings = config.vllm if engine == "vllm" else {}
            opening = partial(open_, engine, given, config.max_new_tokens, **settings)
            with engines(opening, config.engines if where == "here" else 1) as team:
                askers = [_Asking(config, each).answer for each in team]
                for rows in spread(askers, _batches(waiting, config.batch_size)):
                    ledger.append(rows)
                    done += len(rows)
                    progress(name, done, total)
            new += len(waiting)
    return new


def question_keys(config: EvalConfig, board: Asked, engine: str) -> Iterator[tuple[str, Question]]:
    """The benchmark's questions by the key of their answers, when `engine` gives them."""
    for question in board.questions(config):
        texts, keys = text_between(question.sample, config.prompt), Item(board, question).frames
        system = config.prompt.system_of(question.sample.task)
        turn = [system, *(part for pair in zip_longest(texts, keys, fillvalue="") for part in pair)]
        yield question_key(question.sample.id, turn, engine, config), question


def _items(config: EvalConfig, engine: str) -> dict[str, Item]:
    """What there is to ask, each once; questions on the same frames side by side."""
    found: dict[str, Item] = {}
    for benchmark in config.benchmarks:
        board = asked(config, benchmark)
        keyed = question_keys(config, board, engine)
        found |= {key: Item(board, question) for key, question in keyed}
    return dict(sorted(found.items(), key=lambda item: item[1].frames))


class _Asking:
    """One checkpoint answering."""

    def __init__(self, config: EvalConfig, engine: Engine) -> None:
        self.prompt, self.engine = config.prompt, engine
        self._loaded: dict[str, tuple[Frames, FrameMeta]] = {}

    def answer(self, batch: Mapping[str, Item]) -> list[tuple[str, Answer]]:
        """A row for the ledger for each question of `batch`."""
        started = time.monotonic()
        outcomes = self._outcomes([self._request(item) for item in batch.values()])
        seconds = (time.monotonic() - started) / len(batch)
        return [
            (key, _row(item, outcome, seconds))
            for (key, item), outcome in zip(batch.items(), outcomes, strict=True)
        ]

    def _request(self, item: Item) -> Request | EngineError:
        sample, media = item.question.sample, item.question.media
        self._loaded = {key: self._loaded[key] for key in item.frames if key in self._loaded}
        try:
            return make_request(sample, media, item.board.frames, self.prompt, self._load)
        except FrameCacheError as error:
            return EngineError(str(error))

    def _load(self, index: FrameIndex, clip: str) -> tuple[Frames, FrameMeta]:
        """Questions on one clip come side by side: to remember the last one's is enough."""
        key = index.meta(clip).key
        if key not in self._loaded:
            self._loaded[key] = index.load(clip)
        return self._loaded[key]

    def _outcomes(self, requests: Sequence[Request | EngineError]) -> list[Outcome]:
        """Responses, or what went wrong, question by question."""
        sound = [request for request in requests if isinstance(request, Request)]
        given = iter(answer_each(self.engine, sound) if sound else [])
        return [next(given) if isinstance(r, Request) else r for r in requests]


def _row(item: Item, outcome: Outcome, seconds: float) -> Answer:
    if isinstance(outcome, EngineError):
        log.warning("%s of %s: %s", item.question.sample.id, item.board.benchmark, outcome)
        return Answer(None, str(outcome), seconds=seconds)
    text, tokens, prompt_tokens, probabilities = outcome
    return Answer(text, None, tokens, prompt_tokens, seconds, probabilities)


def _batches(items: Mapping[str, Item], size: int) -> Iterator[dict[str, Item]]:
    rows = list(items.items())
    for start in range(0, len(rows), size):
        yield dict(rows[start : start + size])
