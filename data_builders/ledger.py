"""Replies that were paid for, kept through any interruption."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from reward_plugins.rows import append_rows, read_rows


class Reply(BaseModel):
    """A server's answer to one request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: str
    reply: Reply


class Ledger:
    """Replies by request, one row of the file `path` each, for use by many threads.

    Raises `RowError` for a row that can't be read, but one that a kill tore off at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._replies = {row.key: row.reply for row in read_rows(path, _Row.model_validate)}

    def get(self, key: str) -> Reply | None:
        """The reply to the request `key`, if there was one."""
        return self._replies.get(key)

    def put(self, key: str, reply: Reply) -> None:
        """Keep `reply`; it is on disk when this returns."""
        append_rows(self._path, [_Row(key=key, reply=reply).model_dump()])
        self._replies[key] = reply
