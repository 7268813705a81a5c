"""Engines side by side: each in a process of its own, on its share of the GPUs."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from orchestrator.evaluation.engines import Engine, EngineError, Outcome, Request
from reward_plugins.errors import CamReasonerError

log = logging.getLogger(__name__)

Batch = TypeVar("Batch")
Rows = TypeVar("Rows")
Opening = Callable[[], Engine]
"""Loads a checkpoint; it is pickled."""
DEATHS = 5
"""Of an engine's process with no answer in between, after which the stage stops: a batch that kills
it twice and then its first question, alone, twice are four."""
VISIBLE = "CUDA_VISIBLE_DEVICES"


class EngineDiedError(CamReasonerError, RuntimeError):
    """An engine whose process dies whatever it is asked."""


@contextmanager
def engines(opening: Opening, count: int) -> Iterator[Sequence[Engine]]:
    """`count` engines, loaded at the same time; one alone lives in this process.

    Raises `EngineError` where the checkpoint does not load, and `EngineDiedError` where there are
    fewer GPUs than engines.
    """
    if count == 1:
        yield [opening()]
        return
    team = [EngineProcess(opening, devices) for devices in shares(count)]
    try:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(EngineProcess.open, team))
        yield team
    finally:
        for engine in team:
            engine.close()


def spread(workers: Sequence[Callable[[Batch], Rows]], batches: Iterable[Batch]) -> Iterator[Rows]:
    """What the workers make of the batches, as it comes: each takes the next when it is done."""
    if len(workers) == 1:
        yield from map(workers[0], batches)
        return
    idle: SimpleQueue[Callable[[Batch], Rows]] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def work(batch: Batch) -> Rows:
        worker = idle.get()
        try:
            return worker(batch)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(len(workers)) as threads:
        tasks = [threads.submit(work, batch) for batch in batches]
        try:
            for task in as_completed(tasks):
                yield task.result()
        finally:
            for task in tasks:
                task.cancel()


def shares(count: int) -> list[str | None]:
    """The visible GPUs in `count` equal parts; None for each where none are named (a CPU)."""
    names = [name for name in os.environ.get(VISIBLE, "").split(",") if name]
    if not names:
        return [None] * count
    size = len(names) // count
    if not size:
        raise EngineDiedError(
            f"{count} engines for the {len(names)} GPUs of {VISIBLE}={','.join(names)}: set "
            f"eval.engines (or sample.engines) to {len(names)} at most"
        )
    return [",".join(names[size * part : size * (part + 1)]) for part in range(count)]


class EngineProcess:
    """An engine behind a process that is started anew when it dies."""

    def __init__(self, opening: Opening, devices: str | None) -> None:
        self._opening, self._devices = opening, devices
        self._deaths, self._closed = 0, False

    def open(self) -> None:
        """Start the process and load the checkpoint in it."""
        self._process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        try:
            self._process.submit(_open, self._opening, self._devices).result()
        except BrokenProcessPool as error:
            raise EngineDiedError(f"an engine's process died as it loaded: {error}") from error

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """As the engine does; a batch over which its process dies is asked once more."""
        for _ in range(2):
            try:
                outcomes = self._process.submit(_answer, batch).result()
                self._deaths = 0
                return outcomes
            except BrokenProcessPool as error:
                self._revive(len(batch), error)
        raise EngineError("the engine's process died over it twice")

    def close(self) -> None:
        """End the process, and with it what its engine started."""
        self._closed = True
        self._process.shutdown(cancel_futures=True)

    def _revive(self, questions: int, error: BrokenProcessPool) -> None:
        self._deaths += 1
        if self._closed or self._deaths == DEATHS:
            raise EngineDiedError(
                f"an engine's process died {self._deaths} times in a row, last over {questions} "
                "questions; its own words are above, and a smaller batch_size needs less memory"
            ) from error
        log.warning("an engine's process died over %d questions; it starts again", questions)
        self.open()


_engine: Engine | None = None
"""Of this process, where it is an engine's own."""


def _open(opening: Opening, devices: str | None) -> None:
    global _engine
    if devices is not None:
        os.environ[VISIBLE] = devices  # before the engine imports torch
    _engine = opening()


def _answer(batch: Sequence[Request]) -> list[Outcome]:
    assert _engine is not None
    return _engine.answer(batch)
