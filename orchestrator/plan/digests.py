"""Hashes of what decides a result: trees of values, files of the user's, code by what it does."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.places import CODE

LARGEST = 256 * 2**20
"""Bytes of a file or folder that planning reads; those of a larger one are told by their dates."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def of_tree(value: Any) -> str:
    """Of a tree of mappings, lists and plain values."""
    return _hash(json.dumps(value, sort_keys=True))


def of_code(package: str) -> str:
    """Of all files below `package`, a path relative to the project; of Python what it does."""
    return _of_code(CODE / package)


@cache
def _of_code(path: Path) -> str:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return of_tree(
        [
            [str(file.relative_to(CODE)), _of_file(file)]
            for file in files
            if file.is_file() and "__pycache__" not in file.parts
        ]
    )


def _of_file(path: Path) -> str:
    return of_source(path.read_text()) if path.suffix == ".py" else sha256(path)


def of_source(text: str) -> str:
    """Of Python without comments, docstrings and layout; of other text as it is."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return _hash(text)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return _hash(ast.dump(tree))


def of_content(path: Path) -> str:
    """Of every file of a file or folder by name; planning reads no more than `LARGEST` bytes."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    sizes = {file: file.stat() for file in files if file.is_file()}
    large = sum(status.st_size for status in sizes.values()) > LARGEST
    rows = (
        (
            file.relative_to(path).as_posix(),
            f"{status.st_size} {status.st_mtime_ns}" if large else sha256(file),
        )
        for file, status in sizes.items()
    )
    return of_rows(rows)


def of_rows(rows: Iterable[tuple[str, str]]) -> str:
    """Of (name, hash) pairs."""
    return _hash("".join(f"{digest}  {name}\n" for name, digest in rows))


def sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
