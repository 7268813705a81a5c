"""Functions of a user's own that a recipe names as `path/to/file.py:name`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.places import ROOT


class OwnFunction(NamedTuple):
    """One function of one file."""

    path: Path
    name: str
    neighbours: tuple[str, ...] = ()
    """Modules that it imports from its folder."""
    takes: tuple[str, ...] = ()
    """Names of its arguments."""

    @property
    def source(self) -> str:
        """The file's text: a stage keeps a copy of it, and is stale when it changes."""
        return self.path.read_text()

    def home(self, name: str) -> str:
        """Where a stage's copy called `name` lies: a file, or in a folder with its neighbours."""
        return f"{name}/{self.path.name}" if self.neighbours else f"{name}.py"

    def copies(self, name: str) -> dict[str, str]:
        """What a stage keeps: the file, or every Python file of its folder and below."""
        if not self.neighbours:
            return {self.home(name): self.source}
        folder = self.path.parent
        files = (f for f in folder.rglob("*.py") if not _hidden(f.relative_to(folder)))
        return {f"{name}/{f.relative_to(folder)}": f.read_text() for f in sorted(files)}


REWARD = ("data_source", "solution_str", "ground_truth", "extra_info")
"""verl hands these over by name."""
PROGRESS = "progress"
"""A term of the reward that takes it is told how much of the training is done."""


def own_function(reference: str, takes: Sequence[str] = (), *, alone: bool = True) -> OwnFunction:
    """Find `path/to/file.py:name`, the path relative to the project; nothing is imported.

    `takes`: what it is called with, by name. `alone`: it may import no neighbour. Raises
    `ValueError`: what is wrong, and how to mend it.
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
    neighbours = _neighbours(tree, path)
    if relative := [name for name in neighbours if name.startswith(".")]:
        raise ValueError(
            f"{path} imports {', '.join(relative)}, but belongs to no package; leave out the dots"
        )
    if alone and neighbours:
        raise ValueError(
            f"{path} imports {', '.join(neighbours)} from its folder, and a stage keeps a copy of "
            "this one file: write what it needs into it, or install it as a package"
        )
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    defined = {n.name: n.args for n in found}
    if name not in defined:
        raise ValueError(f"{path} defines no {name!r}; it has {', '.join(defined) or 'none'}")
    if takes and (lacking := _lacking(defined[name], takes)):
        raise ValueError(f"{path}: {name!r} takes no {', '.join(lacking)}, which come by name")
    return OwnFunction(path, name, tuple(neighbours), _arguments(defined[name]))


def _arguments(own: ast.arguments) -> tuple[str, ...]:
    return tuple(a.arg for a in (*own.args, *own.kwonlyargs))


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in path.parts)


def _neighbours(tree: ast.Module, path: Path) -> list[str]:
    """Modules that `path` imports from the folder in which it lies."""
    nodes = list(ast.walk(tree))
    absolute = {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    absolute |= {node.module for node in froms if node.module and not node.level}
    names = {name.partition(".")[0] for name in absolute} - sys.stdlib_module_names
    beside = {
        name
        for name in names
        if (path.parent / f"{name}.py").is_file() or (path.parent / name / "__init__.py").is_file()
    }
    return sorted(beside | {"." * node.level + (node.module or "") for node in froms if node.level})


def _lacking(own: ast.arguments, takes: Sequence[str]) -> list[str]:
    """Names that it can't be called with; none where `**` takes them and nothing else is needed."""
    needed = own.args[: len(own.args) - len(own.defaults)]
    absent = [name for name in takes if name not in _arguments(own)]
    return absent if own.kwarg is None or any(a.arg not in takes for a in needed) else []
