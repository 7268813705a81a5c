"""Values that stand for a path or a file in a stage, and what a hash takes them for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.plan import digests

if TYPE_CHECKING:
    from orchestrator.plan.stage import Stage


@dataclass(frozen=True)
class Output:
    """A path below an earlier stage's directory, or below one's own where `stage` is None."""

    stage: Stage | None = None
    path: str = ""

    def __truediv__(self, name: str) -> Output:
        return Output(self.stage, f"{self.path}/{name}".lstrip("/"))


OUT = Output()
"""The stage's own directory."""


@dataclass(frozen=True)
class UserFile:
    """A file or folder of the user's, which decides the result by its content."""

    path: Path
    only: tuple[str, ...] = ()
    """Of a folder, the files that count; empty for all."""

    @cached_property
    def digest(self) -> str:
        """Hash of the content; that of nothing where there is none."""
        if self.only:
            return digests.of_rows(
                (name, digests.of_content(self.path / name)) for name in self.only
            )
        return digests.of_content(self.path)


@dataclass(frozen=True)
class ProjectFile:
    """A file of this project, by its path in it: `code` of the stage tells its content."""

    path: str


@dataclass(frozen=True)
class Source:
    """The text of a Python file of the user's, which decides the result by what it does."""

    text: str


@dataclass(frozen=True)
class RunTime:
    """A value that the result of the stage does not depend on: workers, logs, retention."""

    value: Any


@dataclass(frozen=True)
class Joined:
    """One text of several parts, some of which are paths."""

    parts: tuple[Any, ...]


def replaced(value: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: replaced(inner, leaf) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(inner, leaf) for inner in value]
    return leaf(value)


def leaves(value: Any) -> Iterator[Any]:
    """Every leaf, those inside values that hold others too."""
    if isinstance(value, Mapping):
        value = list(value.values())
    elif isinstance(value, Joined):
        value = value.parts
    elif isinstance(value, RunTime):
        value = [value.value]
    if isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    elif getattr(value, "__hash__", None) is not None:
        yield value


def digest(value: Any) -> str:
    return digests.of_tree(_named(value))


def _named(value: Any) -> Any:
    """`value` for a hash: paths by what they stand for, and nothing of what is for run time."""
    if isinstance(value, Mapping):
        decisive = {key: v for key, v in value.items() if not isinstance(v, RunTime)}
        return {key: _named(inner) for key, inner in decisive.items()}
    if isinstance(value, list | tuple):
        return [_named(inner) for inner in value if not isinstance(inner, RunTime)]
    return _name(value)


def _name(leaf: Any) -> Any:
    """What stands for a path in a hash: nothing that depends on where things are."""
    match leaf:
        case Output():
            return {"output": [leaf.stage.name if leaf.stage else None, leaf.path]}
        case UserFile():
            return {"content": leaf.digest}
        case ProjectFile():
            return {"project": leaf.path}
        case Source():
            return {"source": digests.of_source(leaf.text)}
        case Joined():
            return {"joined": _named(leaf.parts)}
    return leaf
