"""A checkpoint that answers, in a process of the evaluation's environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from signal import SIGKILL
from typing import Any, NamedTuple

from orchestrator import envs
from orchestrator.ask.checkpoints import Checkpoint
from orchestrator.ask.clips import ClipFrames
from orchestrator.ask.errors import PolicyError
from orchestrator.places import import_path

TAIL_LINES = 12
SECONDS = 1200.0
"""To load a model, or to answer a batch."""


class Ask(NamedTuple):
    """A user turn about the frames of a clip."""

    text: str
    shown: ClipFrames


class Policy:
    """Loads on entering, answers batches, and ends its process on leaving; safe between threads."""

    def __init__(self, checkpoint: Checkpoint, engine: str) -> None:
        self.checkpoint, self._engine, self._lock = checkpoint, engine, threading.Lock()

    def __enter__(self) -> Policy:
        checkpoint = self.checkpoint
        python = envs.interpreter(checkpoint.recipe.environment)
        tokens = str(checkpoint.recipe.eval.max_new_tokens)
        place = str(checkpoint.path)
        self._log = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(
            [python, "-m", "orchestrator.ask.worker", self._engine, place, tokens],
            env={**os.environ, "PYTHONPATH": str(import_path()), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        with ExitStack() as stack:
            stack.callback(self.close)
            self._read()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, batch: Sequence[Ask]) -> list[dict[str, Any]]:
        """`{"text", "tokens"}` or `{"error"}` for each, in order.

        Raises `PolicyError` when the process has ended.
        """
        system = self.checkpoint.recipe.prompt.system
        rows = [[system, ask.text, str(ask.shown.entry)] for ask in batch]
        with self._lock:
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps(rows) + "\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                pass  # `_read` says what it died of
            found: list[dict[str, Any]] = self._read()
        return found

    def close(self) -> None:
        """End the process, and wait for it."""
        self._process.kill()  # it holds nothing, and a stuck one hears nothing else
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        limit = threading.Timer(SECONDS, self._process.kill)
        limit.start()
        line = self._process.stdout.readline()
        limit.cancel()
        said = json.loads(line) if line else {"error": self._death()}
        if isinstance(said, dict) and "error" in said:
            raise PolicyError(f"{self.checkpoint.name}: {said['error']}")
        return said

    def _death(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        tail = "\n  ".join(self._log.read().strip().splitlines()[-TAIL_LINES:])
        late = f" (it has {SECONDS:.0f} s for an answer)" if code == -SIGKILL else ""
        return f"the model's process ended with exit code {code}{late}; its last lines:\n  {tail}"
