"""Run a function over jobs in processes that may hang or crash without taking the rest down."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Generic, NamedTuple, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Failed(NamedTuple):
    """What became of a job whose process was killed at the time limit, or died by itself."""

    reason: str


def isolated_map(
    function: Callable[[Job], Result], jobs: Iterable[Job], *, workers: int, seconds: float
) -> Iterator[tuple[Job, Result | Failed]]:
    """Yield `(job, result)` as jobs finish, at most `workers` at a time.

    A job that runs longer than `seconds`, or whose process dies (a decoder's segmentation fault,
    an exception that `function` doesn't handle), yields `Failed`; the others go on. `function`
    must be importable and return something picklable; it runs in a fresh interpreter.
    """
    waiting = deque(jobs)
    busy: list[_Worker[Job, Result]] = []
    try:
        while waiting and len(busy) < workers:
            busy.append(_Worker(function))
            busy[-1].take(waiting.popleft(), seconds)
        while busy:
            for worker in _due(busy):
                job, outcome = worker.job, worker.outcome(seconds)
                busy.remove(worker)
                if isinstance(outcome, Failed) or not waiting:
                    worker.stop()
                    worker = _Worker(function) if waiting else worker
                if waiting:
                    busy.append(worker)
                    worker.take(waiting.popleft(), seconds)
                yield job, outcome
    finally:
        for worker in busy:
            worker.stop()


class _Worker(Generic[Job, Result]):
    """One child process and the job it holds."""

    job: Job
    deadline: float

    def __init__(self, function: Callable[[Job], Result]) -> None:
        # A fork server: quick to start from, and free of the parent's threads and locks.
        context = multiprocessing.get_context("forkserver")
        self.pipe, child = context.Pipe()
        self.process = context.Process(target=_serve, args=(function, child), daemon=True)
        self.process.start()
        child.close()

    def take(self, job: Job, seconds: float) -> None:
        self.job, self.deadline = job, time.monotonic() + seconds
        with suppress(BrokenPipeError):  # it died already: `outcome` says so
            self.pipe.send(job)

    def outcome(self, seconds: float) -> Result | Failed:
        if not self.pipe.poll():
            return Failed(f"took longer than {seconds:g} s")
        try:
            result: Result = self.pipe.recv()
            return result
        except (EOFError, ConnectionResetError):
            self.process.join()
            return Failed(f"its process died (exit code {self.process.exitcode})")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _due(busy: list[_Worker[Job, Result]]) -> list[_Worker[Job, Result]]:
    """Wait for the next answer, death or deadline; return the workers concerned."""
    nearest = min(worker.deadline for worker in busy) - time.monotonic()
    ready = set(wait([worker.pipe for worker in busy], timeout=max(0.0, nearest)))
    now = time.monotonic()
    return [worker for worker in busy if worker.pipe in ready or worker.deadline <= now]


def _serve(function: Callable[[Job], Result], pipe: Connection) -> None:
    while True:
        try:
            job = pipe.recv()
        except EOFError:  # the parent is gone
            return
        pipe.send(function(job))
