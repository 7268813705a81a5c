"""Files that only grow: a JSON value a line, kept through any interruption."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from reward_plugins.errors import CamReasonerError

Row = TypeVar("Row")
SUM = "row_sum"


class RowError(CamReasonerError, ValueError):
    """A row in the midst of a file that can't be read."""


def append_rows(path: Path, rows: Iterable[object]) -> None:
    """Add a line for each of `rows`: on the disk when this returns, and none on an `OSError`.

    Objects and lists get a sum of their content, so that a flipped bit shows when they are read.
    What a killed process left of a row goes first. Any number of threads and processes may write
    one path.
    """
    lines = "".join(json.dumps(_with_sum(row)) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = _whole(file)
        file.truncate(size)
        try:
            if file.write(lines) != len(lines):
                raise OSError(f"{path}: a row was written in part; is the disk full?")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)  # rows after half a row would be lost
            raise


def read_rows(path: Path, parse: Callable[[Any], Row]) -> Iterator[Row]:
    """What `parse` makes of each row, but of half a row at the end; nothing without a file.

    `parse` says what is wrong with a row by `ValueError` or `TypeError`, which become `RowError`.
    """
    *lines, _ = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    for number, line in enumerate(lines, start=1):
        try:
            row = parse(_without_sum(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise RowError(
                f"{path}, line {number} is damaged: remove that line, and what it held is asked "
                f"for again ({' '.join(str(error).split())})"
            ) from error
        yield row


def _with_sum(row: object) -> object:
    if isinstance(row, dict):
        return {**row, SUM: _sum(row)}
    return [*row, f"{SUM}:{_sum(row)}"] if isinstance(row, list | tuple) else row


def _without_sum(row: Any) -> Any:
    """What `_with_sum` was given, and any other row as it is; raises `ValueError`."""
    if isinstance(row, dict) and SUM in row:
        stated = row.pop(SUM)
    elif isinstance(row, list) and row and str(row[-1]).startswith(f"{SUM}:"):
        stated = str(row.pop()).removeprefix(f"{SUM}:")
    else:
        return row
    if stated != _sum(row):
        raise ValueError("its sum is another")
    return row


def _sum(row: object) -> str:
    return hashlib.blake2b(json.dumps(row).encode(), digest_size=8).hexdigest()


def _whole(file: BinaryIO) -> int:
    """Bytes up to the end of the last whole row."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1
