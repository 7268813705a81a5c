"""What is published: the files of one result of a run, and the card that explains them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.errors import PublishError
from orchestrator.publish.card import CARD, data_card, model_card
from orchestrator.recipe.policy import parse_policy
from orchestrator.run import policies
from orchestrator.secrets import redact
from orchestrator.trace.record import Record

MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "merges.txt", "*.model")
NOT_MODEL = {"trainer_state.json", "trainer_log.jsonl", "all_results.json", "train_results.json"}
DATA_FILES = ("*.parquet", "audit.json", "quarantine.json")
TEXT = {".json", ".jinja", ".txt", ".md"}
OURS = {"synthetic"}
"""Sources whose clips we render ourselves: those of others are not ours to hand on."""


@dataclass(frozen=True)
class Package:
    """Files by their path in the repository."""

    kind: Literal["model", "dataset"]
    files: dict[str, Path]
    card: str
    notes: tuple[str, ...] = ()
    """What the user should know before confirming."""

    @property
    def bytes(self) -> int:
        """Of all files but the card."""
        return sum(path.stat().st_size for path in self.files.values())


def pack(record: Record, what: str) -> Package:
    """A policy of a finished run, by its name, or its questions: `data`.

    Raises `PublishError` for a result that is not there, and for a file that holds a secret.
    """
    package = _data(record) if what == "data" else _model(record, what)
    for name, path in package.files.items():
        if path.suffix in TEXT and redact(text := path.read_text(errors="replace")) != text:
            raise PublishError(f"{path} holds what looks like a secret: not published as {name}")
    return package


def _model(record: Record, what: str) -> Package:
    try:
        policy, folder = parse_policy(what), policies.place(record.directory, what)
    except ValueError as error:
        raise PublishError(f"what={what}: {error}, or data") from None
    stage = policy.stage
    if stage not in record.manifests or not (folder / "config.json").is_file():
        there = ", ".join(policies.trained(record.directory, record.recipe))
        raise PublishError(
            f"{record.name} has no finished {what}: {folder} is no checkpoint; there: {there}"
        )
    files = {path.name: path for path in _matching(folder, MODEL_FILES)}
    if not any(name.endswith(".safetensors") for name in files):
        raise PublishError(f"{folder} holds no *.safetensors: there are no weights to publish")
    return Package("model", files, model_card(record, what))


def _data(record: Record) -> Package:
    if "data" not in record.manifests:
        raise PublishError(f"{record.name} has no finished data stage")
    folder = record.directory / "data"
    files = {path.name: path for path in _matching(folder, DATA_FILES)}
    others = sorted(set(record.recipe["data"]["sources"]) - OURS)
    if not others:
        clips = sorted(path for path in (folder / "clips").rglob("*") if path.is_file())
        return Package(
            "dataset",
            files | {path.relative_to(folder).as_posix(): path for path in clips},
            data_card(record),
        )
    note = (
        f"the clips of {', '.join(others)} stay here: they are their authors' to hand out; so may "
        "the questions be (CameraBench gives its training annotations out on request)"
    )
    return Package("dataset", files, data_card(record), (note,))


def _matching(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    yield from sorted(path for path in found if path.name not in {*NOT_MODEL, CARD})


def summary(package: Package) -> Iterator[str]:
    """A line a file, the many clips of a folder together."""
    folders: dict[str, list[Path]] = {}
    for name, path in package.files.items():
        head, slash, _ = name.partition("/")
        folders.setdefault(head + slash, []).append(path)
    for name, paths in folders.items():
        size = sum(path.stat().st_size for path in paths)
        count = f"  {len(paths):,} files" if name.endswith("/") else ""
        yield f"{size / 1e3:>14,.1f} kB  {name}{count}"
    yield f"{len(package.card.encode()) / 1e3:>14,.1f} kB  {CARD}"
