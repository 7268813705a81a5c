"""What a stage is: a value that says which files and commands would run, and where.

Paths in it are values too (an output of an earlier stage, a file of the user's), so the stages it
depends on, its rendered files and its fingerprint all follow from one walk of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from orchestrator import places
from orchestrator.plan import digests, whole
from orchestrator.plan.values import (
    Joined,
    Output,
    ProjectFile,
    RunTime,
    Source,
    UserFile,
    digest,
    leaves,
    replaced,
)

ROOT = places.ROOT


@dataclass(frozen=True)
class Progress:
    """How to read a command's progress from a file with one JSON object a line."""

    path: Any
    step: str
    """Key of the step, dotted into nested objects."""
    total: int | str
    """Number of steps, or the key that holds it."""
    metric: str = ""
    """Key of the number to show beside the bar: the loss, the reward."""
    label: str = ""
    """What that number is called, where its key doesn't tell."""
    whole: bool = False
    """Whether the command fails if it ends before the last step."""


@dataclass(frozen=True)
class Command:
    """One process of a stage. `argv` follows the interpreter of `environment`."""

    environment: str
    argv: tuple[Any, ...]
    environ: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    nodes: int = 1
    """Nodes that run it at once, each told its rank and where the first one is."""
    resume: str = ""
    """Added to `argv` where the stage goes on from a checkpoint, whose path `{checkpoint}` is."""


@dataclass(frozen=True)
class Layout:
    """How a trainer lays out its checkpoints, in `checkpoints/` of the stage."""

    prefix: str
    last_file: str
    """Written when all else is."""
    weights: str
    """Pattern of what must be there besides: a trainer may have removed it."""
    tracker: str | None = None
    """Names the checkpoint to resume from."""
    ranks: int = 1
    """Processes that save a part each."""


@dataclass(frozen=True)
class Resources:
    """What a stage reserves in Ray. A verl driver reserves no GPU: its own workers do."""

    cpus: int
    """On each node, as are the GPUs."""
    gpus: int = 0
    pin: str | None = None
    nodes: int = 1

    def bundle(self) -> dict[str, float]:
        """What a node must have, by Ray's names."""
        pin = {self.pin: 0.001} if self.pin else {}
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {}), **pin}


@dataclass(frozen=True, eq=False)
class Stage:
    """A stage of a plan. Equal fingerprints mean equal results."""

    name: str
    store: Path
    """Where the directories of all stages are."""
    steps: tuple[Command, ...]
    """What runs, one after the other; `commands` are they with paths as text."""
    contents: Mapping[str, Any]
    """What is written first, by name: a tree for `.json` and `.yaml`, else a text; `files` are the
    texts."""
    resources: Resources
    code: tuple[str, ...] = ()
    """Files and packages of ours that decide the result, relative to the project."""
    locks: Mapping[str, str] = field(default_factory=dict)
    """Hash of the lock of each environment that a command runs in."""
    layout: Layout | None = None
    """Of a trainer's checkpoints; None for a stage that has none to go on from."""
    variant: str = ""
    """Tells apart two results of the same recipe that keep other checkpoints."""

    @cached_property
    def ingredients(self) -> dict[str, str]:
        """Hash of everything that decides the result, by name: tells why a stage is stale."""
        commands = [[c.environment, c.argv, c.environ] for c in self.steps]
        modified = {stage.name: self._modified(stage) for stage in self.inputs}
        return {
            "commands": digest(commands),
            **{f"file {name}": digest(tree) for name, tree in sorted(self.contents.items())},
            **{f"content {file.path}": file.digest for file in self._leaves(UserFile)},
            **{f"source {name}": digests.of_code(name) for name in self.code},
            **{f"environment {name}": digest for name, digest in self.locks.items()},
            **{f"stage {stage.name}": stage.fingerprint for stage in self.inputs},
            **{f"changed in {name}": digest(rows) for name, rows in modified.items() if rows},
            **({"variant": self.variant} if self.variant else {}),
        }

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all ingredients."""
        return digest(self.ingredients)[:16]

    @cached_property
    def directory(self) -> Path:
        """Where the stage runs, and leaves its result."""
        return self.store / self.name / self.fingerprint

    @property
    def training(self) -> Command | None:
        """The command that trains, which reports a metric step by step."""
        return next((c for c in self.commands if c.progress and c.progress.metric), None)

    @cached_property
    def inputs(self) -> tuple[Stage, ...]:
        """The stages that it reads, each once, in the order in which it names them."""
        return tuple(dict.fromkeys(leaf.stage for leaf in self._leaves(Output) if leaf.stage))

    @cached_property
    def needs(self) -> tuple[Path, ...]:
        """What must exist before it starts, left there by the stages that it reads."""
        paths = (self._path(leaf) for leaf in self._leaves(Output) if leaf.stage)
        return tuple(dict.fromkeys(paths))

    @cached_property
    def files(self) -> dict[str, str]:
        """Texts by path, with every path in them as it is on this machine."""
        trees = self.contents.items()
        return {str(self.directory / name): _text(name, self.render(tree)) for name, tree in trees}

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """The steps with their paths as text."""
        return tuple(
            replace(
                command,
                argv=tuple(str(word) for word in self.render(command.argv)),
                environ={key: str(self.render(v)) for key, v in command.environ.items()},
                progress=command.progress
                and replace(command.progress, path=self.render(command.progress.path)),
            )
            for command in self.steps
        )

    def render(self, value: Any) -> Any:
        """`value` with text in place of every path."""
        return replaced(value, self._render_leaf)

    def _render_leaf(self, leaf: Any) -> Any:
        match leaf:
            case Output():
                return str(self._path(leaf))
            case UserFile():
                return str(leaf.path)
            case ProjectFile():
                return str(places.CODE / leaf.path)
            case Source():
                return leaf.text
            case RunTime():
                return self.render(leaf.value)
            case Joined():
                return "".join(str(self.render(part)) for part in leaf.parts)
        return leaf

    def _path(self, output: Output) -> Path:
        return (output.stage or self).directory / output.path

    def reads(self, other: Stage) -> bool:
        """Whether this stage names anything of `other`."""
        return other in self.inputs

    def _leaves(self, kind: type[Any]) -> list[Any]:
        trees = [*self.contents.values(), *((c.argv, c.environ) for c in self.steps)]
        return list(dict.fromkeys(leaf for leaf in leaves(trees) if isinstance(leaf, kind)))

    def _modified(self, stage: Stage) -> list[tuple[str, str]]:
        """Files of `stage` that are other than it left them, and that this stage reads."""
        files = stage.modified
        if not files:
            return []
        named = [leaf.path for leaf in self._leaves(Output) if leaf.stage is stage]
        read = [(stage.directory / path).resolve() for path in named]
        paths = {name: (stage.directory / name).resolve() for name in files}
        return sorted(
            (name, files[name])
            for name, path in paths.items()
            if any(path == known or known in path.parents for known in read)
        )

    @cached_property
    def modified(self) -> dict[str, str]:
        """Hash by name of files that are no longer as the finished stage left them."""
        return {name: new for name, new in whole.modified(self.directory).items() if new}


def _text(name: str, tree: Any) -> str:
    if name.endswith(".json"):
        return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if name.endswith(".yaml"):
        return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=10**6))
    return str(tree)
