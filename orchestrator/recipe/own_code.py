"""Functions of a user's own that a recipe names as `path/to/file.py:name`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class OwnFunction(NamedTuple):
    """One function of one file."""

    path: Path
    name: str

    @property
    def source(self) -> str:
        """The file's text: a stage keeps a copy of it, and is stale when it changes."""
        return self.path.read_text()


def own_function(reference: str) -> OwnFunction:
    """Find `path/to/file.py:name`, the path relative to the project; nothing is imported.

    Raises `ValueError`: what is wrong, and how to mend it.
    """
    file, colon, name = reference.rpartition(":")
    path = ROOT / file
    if not colon or not name.isidentifier() or path.suffix != ".py":
        raise ValueError(f"{reference!r} is not path/to/file.py:function")
    if not path.is_file():
        raise ValueError(f"no file {path}")
    try:
        tree = ast.parse(path.read_text(), str(path))
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is no Python: {error}") from None
    defined = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    if name not in defined:
        raise ValueError(f"{path} defines no {name!r}; it has {', '.join(defined) or 'none'}")
    return OwnFunction(path, name)
