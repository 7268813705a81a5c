"""What a stage is: a pure value that says which files and commands would run, and where."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = Path("@OUT@")
"""Stands for the stage's own directory until its fingerprint, and so its path, is known."""


@dataclass(frozen=True)
class Progress:
    """How to read a command's progress from a file with one JSON object a line."""

    path: str
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
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None
    nodes: int = 1
    """Nodes that run it at once, each told its rank and where the first one is."""


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


@dataclass(frozen=True)
class Draft:
    """A stage before its directory is known: paths under it start with `OUT`."""

    name: str
    commands: tuple[Command, ...]
    files: Mapping[str, str]
    resources: Resources
    sources: tuple[str, ...]
    """Packages of ours that decide the result: a change in them makes the stage stale."""
    needs: tuple[Path, ...] = ()
    """What must exist before the stage can start, left there by earlier stages."""
    given: tuple[Path, ...] = ()
    """The user's own files and folders that decide the result, besides the recipe."""


@dataclass(frozen=True)
class Stage:
    """A stage with its directory. Equal fingerprints mean equal results."""

    name: str
    fingerprint: str
    directory: Path
    commands: tuple[Command, ...]
    files: Mapping[str, str]
    resources: Resources
    needs: tuple[Path, ...]
    ingredients: Mapping[str, str]
    """Hash of everything that went into the fingerprint, by name: tells why a stage is stale."""

    def reads(self, other: Stage) -> bool:
        """Whether this stage needs the directory of `other`, or names it in a file or command."""
        needed = any(path.is_relative_to(other.directory) for path in self.needs)
        return needed or str(other.directory) in text_of(self)


def text_of(stage: Draft | Stage) -> str:
    """All that a stage is told, in its files and arguments."""
    return "\n".join([*stage.files.values(), *(a for c in stage.commands for a in c.argv)])


def seal(
    draft: Draft, store: Path, environments: Mapping[str, str], contents: Mapping[str, str]
) -> Stage:
    """Fingerprint `draft` and put its real directory in place of `OUT`.

    `environments` gives the lock hash of every environment by name, `contents` the hashes of what
    it reads that its files and commands only name.
    """
    ingredients = {
        "commands": _digest([[c.environment, c.argv, dict(c.environ)] for c in draft.commands]),
        **{f"file {name}": _digest(text) for name, text in sorted(draft.files.items())},
        **{f"source {name}": source_hash(name) for name in draft.sources},
        **{f"environment {c.environment}": environments[c.environment] for c in draft.commands},
        **contents,
    }
    fingerprint = _digest(ingredients)[:16]
    directory = store / draft.name / fingerprint
    return Stage(
        name=draft.name,
        fingerprint=fingerprint,
        directory=directory,
        commands=tuple(_place_command(c, directory) for c in draft.commands),
        files={
            _place(name, directory): _place(text, directory) for name, text in draft.files.items()
        },
        resources=draft.resources,
        needs=draft.needs,
        ingredients=ingredients,
    )


def source_hash(package: str) -> str:
    """Hash of the code and templates below `package`, a path relative to the project."""
    path = ROOT / package
    below = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [f for f in below if f.suffix in (".py", ".j2")]
    return _digest([[str(f.relative_to(ROOT)), f.read_text()] for f in files])


def _place_command(command: Command, directory: Path) -> Command:
    progress = command.progress
    return replace(
        command,
        argv=tuple(_place(part, directory) for part in command.argv),
        environ={key: _place(value, directory) for key, value in command.environ.items()},
        progress=progress and replace(progress, path=_place(progress.path, directory)),
    )


def _place(text: str, directory: Path) -> str:
    return text.replace(str(OUT), str(directory))


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True).replace(str(ROOT), "@ROOT@")
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
