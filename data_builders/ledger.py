"""Replies that were paid for, kept through any interruption."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reward_plugins.errors import CamReasonerError


class LedgerError(CamReasonerError, ValueError):
    """A ledger with a row in its midst that can't be read."""


class Reply(BaseModel):
    """A server's answer to one request."""

    model_config = ConfigDict(frozen=True)

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0


class _Row(BaseModel):
    key: str
    reply: Reply


class Ledger:
    """Replies by request, in a file that only grows, one row each.

    A row that a kill tore off at the end is dropped, and so asked again. Raises `LedgerError` for
    any other row that can't be read.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = path.open("a+b", buffering=0)
        whole, newline, _ = path.read_bytes().rpartition(b"\n")
        self._size = len(whole) + len(newline)
        self._file.truncate(self._size)
        self._replies = dict(_read(path, whole))

    def get(self, key: str) -> Reply | None:
        """The reply to the request `key`, if there was one."""
        return self._replies.get(key)

    def put(self, key: str, reply: Reply) -> None:
        """Keep `reply`; it is on disk when this returns."""
        row = _Row(key=key, reply=reply).model_dump_json().encode() + b"\n"
        with self._lock:
            try:
                if self._file.write(row) != len(row):
                    raise OSError(
                        f"{self._file.name}: a row was written in part; is the disk full?"
                    )
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(self._size)  # rows after half a row would be lost
                raise
            self._size += len(row)
            self._replies[key] = reply

    def close(self) -> None:
        """Close the file; what was put stays."""
        self._file.close()


def _read(path: Path, rows: bytes) -> list[tuple[str, Reply]]:
    found = []
    for number, line in enumerate(rows.splitlines(), start=1):
        try:
            row = _Row.model_validate_json(line)
        except ValidationError as error:
            raise LedgerError(
                f"{path}, line {number} is damaged: remove that line, and its request is asked "
                f"again ({error.errors()[0]['msg']})"
            ) from error
        found.append((row.key, row.reply))
    return found
