"""Run a function over jobs in processes that may hang or crash without taking the rest down."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from typing import NamedTuple, TypeVar

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
    from pebble import ProcessPool  # what reads frames in a trainer's environment lacks it

    # A fork server: quick to start from, and free of the parent's threads and locks.
    with ProcessPool(workers, context=multiprocessing.get_context("forkserver")) as pool:
        futures = {pool.schedule(function, args=[job], timeout=seconds): job for job in jobs}
        try:
            for future in as_completed(futures):
                error = future.exception()
                failed = None if error is None else Failed(_reason(error, seconds))
                yield futures[future], failed or future.result()
        finally:
            pool.stop()  # also where the caller looks no further


def _reason(error: BaseException, seconds: float) -> str:
    from pebble import ProcessExpired

    if isinstance(error, TimeoutError):
        return f"took longer than {seconds:g} s"
    if isinstance(error, ProcessExpired):
        return f"its process died (exit code {error.exitcode})"
    return f"{type(error).__name__}: {error}"
