"""What a finished stage leaves: one SHA-256 a file, in the format of `sha256sum`.

`cd runs/<name>/<stage> && sha256sum -c outputs.sha256` checks it without us. SHA-256 is also what
the Hub states for large files, so a published one can be traced to the stage that made it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from orchestrator.plan.digests import sha256

LISTING = "outputs.sha256"
MANIFEST = "manifest.json"
LACKING = "lacking.json"
"""What a finished stage lacks and another go might bring: sentences, in a JSON list."""
NOT_OUTPUTS = frozenset(
    {
        LISTING,
        MANIFEST,
        "__pycache__",
        "attempts.jsonl",
        "logs",
        "progress.jsonl",
        "provenance",
        "tensorboard",
        "wandb",
        "trackio",
        "swanlab",
    }
)
"""About the making of a result, not the result; so are hidden files."""
BACKSLASH = "\\"
ESCAPES = {BACKSLASH: r"\\", "\n": r"\n", "\r": r"\r"}
UNESCAPED = {escape: letter for letter, escape in ESCAPES.items()}
THREADS = min(16, os.cpu_count() or 1)


@dataclass(frozen=True)
class Outputs:
    """The files of a stage together."""

    files: int
    bytes: int
    sha256: str
    """Of the listing: equal when every file is."""


def list_outputs(directory: Path) -> list[Path]:
    """Files below `directory` that are a stage's result, sorted; links are not followed."""
    return sorted(_walk(directory, NOT_OUTPUTS))


def hash_beside(directory: Path, outputs: Collection[str]) -> dict[str, str]:
    """SHA-256 by name of the files below `directory` that are not among its `outputs`."""
    files = sorted(_walk(directory, {LISTING, MANIFEST, "__pycache__"}))
    names = {path.relative_to(directory).as_posix(): path for path in files}
    return {name: sha256(path) for name, path in names.items() if name not in outputs}


def _walk(directory: Path, leave: Collection[str]) -> Iterator[Path]:
    for entry in os.scandir(directory):
        if entry.name.startswith(".") or entry.name in leave or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), leave)
        else:
            yield Path(entry.path)


def hash_outputs(directory: Path, given: Collection[Path] = ()) -> tuple[Outputs, str]:
    """Hash what `directory` holds except the files `given` to it; returns the sum and the listing.

    Reads every byte once, `THREADS` files at a time.
    """
    files = [path for path in list_outputs(directory) if path not in given]
    with ThreadPoolExecutor(THREADS) as pool:
        hashes = list(pool.map(sha256, files))
    names = [path.relative_to(directory).as_posix() for path in files]
    text = "".join(map(_line, hashes, names))
    size = sum(path.stat().st_size for path in files)
    return Outputs(len(files), size, hashlib.sha256(text.encode()).hexdigest()), text


def parse_listing(text: str) -> dict[str, str]:
    """SHA-256 by path, of what `hash_outputs` returned."""
    return dict(map(_parsed, text.split("\n")[:-1]))


def _line(digest: str, name: str) -> str:
    """As `sha256sum` writes it: with a backslash before a line whose name has an escape."""
    escaped = "".join(ESCAPES.get(letter, letter) for letter in name)
    return f"{'' if escaped == name else BACKSLASH}{digest}  {escaped}\n"


def _parsed(line: str) -> tuple[str, str]:
    digest, name = line.removeprefix(BACKSLASH).split("  ", 1)
    if line.startswith(BACKSLASH):
        name = re.sub(r"\\[\\nr]", lambda found: UNESCAPED[found[0]], name)
    return name, digest
