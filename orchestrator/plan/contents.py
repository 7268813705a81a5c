"""What a stage reads that its config only names: the user's own files, and altered results.

An earlier stage's result is known by the fingerprint in its path. Where somebody changed a file of
it since (a clip, a checkpoint), the stages that read this file depend on its content too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.plan.stage import ROOT, Draft, Stage, text_of
from orchestrator.run.outputs import altered, sha256

LARGEST = 256 * 2**20
"""Bytes of a file or folder that planning reads; those of a larger one are told by their dates."""


def contents(draft: Draft, earlier: Iterable[Stage]) -> dict[str, str]:
    """Hashes by name, for the fingerprint of `draft`; mostly empty."""
    given = {f"given {_name(path)}": _digest(_files(path)) for path in draft.given}
    changed = {
        f"changed in {stage.name}": _digest(rows)
        for stage in earlier
        if (rows := sorted(_changed(draft, stage)))
    }
    return given | changed


def _changed(draft: Draft, stage: Stage) -> Iterator[tuple[str, str]]:
    """Files of `stage` that are other than it left them, and that `draft` reads."""
    files = {name: digest for name, digest in altered(stage.directory).items() if digest}
    if not files:
        return
    named = re.findall(re.escape(str(stage.directory)) + r'[^"\s,\]]*', text_of(draft))
    read = [Path(path).resolve() for path in named]
    for name, digest in files.items():
        path = (stage.directory / name).resolve()
        if any(path == known or known in path.parents for known in read):
            yield name, digest


def _files(path: Path) -> list[tuple[str, str]]:
    """Every file of a file or folder with its content's hash; nothing where there is none."""
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    sizes = {p: p.stat() for p in found if p.is_file()}
    large = sum(status.st_size for status in sizes.values()) > LARGEST
    return [
        (
            p.relative_to(path).as_posix(),
            f"{status.st_size} {status.st_mtime_ns}" if large else sha256(p),
        )
        for p, status in sizes.items()
    ]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _digest(rows: Iterable[tuple[str, str]]) -> str:
    text = "".join(f"{digest}  {name}\n" for name, digest in rows)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
