"""Bytes that arrive by several threads and attempts, counted once each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from huggingface_hub.utils.tqdm import tqdm

Meter = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class Total:
    """Bytes of all files together, whichever threads fetch them."""

    def __init__(self, meter: Meter | None, sizes: dict[str, int]) -> None:
        self._meter, self._size = meter, sum(sizes.values())
        self._done, self._lock = 0, threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._meter is not None:
                self._meter(self._done, self._size)

    @contextmanager
    def counting(self, size: int) -> Iterator[type[tqdm]]:
        """A progress bar that counts a file's bytes; at the end it counts whole or not at all."""
        counted, add = 0, self.add

        class Bar(tqdm):
            def update(self, n: float | None = 1) -> bool | None:
                nonlocal counted
                counted += int(n or 0)
                add(int(n or 0))
                shown: bool | None = super().update(n)
                return shown

        whole = 0
        try:
            yield Bar
            whole = size  # more than was counted, if part of it was there before
        finally:
            add(whole - counted)
