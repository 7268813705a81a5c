"""Read files of questions that people or programs wrote: rows, and what is wrong with one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reward_plugins.errors import CamReasonerError

Row = dict[str, Any]


UNREADABLE = (ValueError, RecursionError, csv.Error)
"""JSON, encoding and Parquet errors are ValueErrors; JSON too deep to be read is the second."""


class AnnotationsError(CamReasonerError, ValueError):
    """Annotation files that are absent, unreadable, or not the ones they should be."""


def read_rows(path: Path) -> list[tuple[str, Row]]:
    """The rows of a JSON, JSON-lines, CSV or Parquet file, each with where it stands.

    A byte order mark is left out; blank lines are none. CSV may be separated by commas, semicolons
    or tabs, as its heading is. Raises `AnnotationsError` for a file that is not there, can't be
    parsed, or holds no row.
    """
    if not path.is_file():
        raise AnnotationsError(
            f"no file at {path}: run the data stage to fetch it, or name another"
        )
    try:
        rows = list(_rows(path))
    except UNREADABLE as error:
        raise AnnotationsError(
            f"{path} is no {path.suffix or 'JSON'} file that can be read: {error}"
        ) from error
    if not rows:
        raise AnnotationsError(f"{path} holds no row")
    for where, row in rows:
        if not isinstance(row, dict):
            raise AnnotationsError(f"{where} is {type(row).__name__}, not a row of named fields")
    return rows


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows: list[Any] = pq.read_table(path).to_pylist()
        return _numbered(path, rows)
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix in (".csv", ".tsv"):
        return _numbered(path, list(_csv(text)))
    if text.lstrip().startswith("["):
        return _numbered(path, json.loads(text))
    # not splitlines(): JSON strings may hold U+2028 and the like as they are
    return _numbered(path, [json.loads(line) for line in text.split("\n") if line.strip()])


def _numbered(path: Path, rows: list[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=1))


def _csv(text: str) -> Iterator[Row]:
    heading = text.partition("\n")[0]
    separator = max(",;\t", key=heading.count)
    for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
        if None in row:
            raise ValueError(
                f"a row has more fields than the heading, {row[None]}; quote its texts"
            )
        yield {name: value for name, value in row.items() if value}


def said(error: ValueError) -> str:
    """What is wrong with a row, field by field, without pydantic's own words around it."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'row'}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors()
    )
