"""Whether a finished stage is as it was left: its manifest, its listing, and every file of these.

The manifest holds a seal over its own text and the sum of the listing; the listing holds the sums
of the results, the manifest those of what stands beside them. So each byte is covered by one sum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.plan.digests import sha256
from orchestrator.plan.outputs import LISTING, MANIFEST, parse_listing
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import write_file

SEAL = "seal"
BESIDE = "beside"
REMEDY = "remove it, and the next run makes it again"
MOST_NAMES = 8
"""Files named of many; `status deep=true` and `sha256sum -c` name all."""

Json = TypeVar("Json", dict[str, Any], list[Any])


class DamageError(CamReasonerError, ValueError):
    """Bookkeeping that is not as it was written; the message says how to mend it."""


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    """Write and seal the manifest of the stage in `directory`, in one step."""
    write_file(directory / MANIFEST, _sealed(manifest))


def read_manifest(directory: Path) -> dict[str, Any]:
    """What `write_manifest` wrote there; raises `DamageError` where it is something else."""
    path = directory / MANIFEST
    try:
        text = path.read_bytes().decode()
        manifest: dict[str, Any] = json.loads(text)
        del manifest[SEAL]
        whole = _sealed(manifest) == text
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise DamageError(
            f"{path} is not as it was written; give the command that made its stage again, which "
            "goes on from what is there and writes it anew"
        )
    return manifest


def read_listing(directory: Path) -> dict[str, str]:
    """SHA-256 by path relative to `directory` of what the stage left; empty without a listing.

    Raises `DamageError` where manifest and listing are not those of one stage.
    """
    path, manifest = directory / LISTING, read_manifest(directory)
    text = path.read_bytes() if path.is_file() else b""
    if "outputs" in manifest and manifest["outputs"]["sha256"] != hashlib.sha256(text).hexdigest():
        raise DamageError(f"{path} is not as it was written, or gone")
    return parse_listing(text.decode())


def read_json(path: Path, kind: type[Json]) -> Json:
    """What a JSON file that a run left holds; raises `DamageError` where that is not a `kind`."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{path} is not JSON ({error}); {REMEDY}") from error
    if not isinstance(value, kind):
        raise DamageError(f"{path} is {type(value).__name__}, not {kind.__name__}; {REMEDY}")
    return value


def is_finished(directory: Path) -> bool:
    """Whether the stage in `directory` came to its end, whatever became of its files since."""
    return (directory / MANIFEST).is_file()


def faults(directory: Path) -> list[str]:
    """Why a finished stage is not whole, in words: damaged bookkeeping, or files that are gone.

    A look at each file, no byte of it is read. Empty for a stage that is not finished.
    """
    if not is_finished(directory):
        return []
    try:
        read_listing(directory)
    except DamageError as error:
        return [str(error)]
    return [f"{name} is gone" for name in gone(directory)]


def gone(directory: Path) -> list[str]:
    """Files that a finished stage listed and that are not there; none where that can't be told."""
    return [name for name in _listed(directory) if not (directory / name).is_file()]


def modified(directory: Path, deep: bool = False) -> dict[str, str | None]:
    """Files that a finished stage listed, and whose content is another now, or gone (None).

    Only files newer than the manifest are read again, unless `deep`, so that asking costs a look
    at each file. Empty for a stage that is not finished, or whose bookkeeping is damaged.
    """
    listed = _listed(directory)
    if not listed:
        return {}
    since = -1 if deep else (directory / MANIFEST).stat().st_mtime_ns
    found = ((name, then, _now(directory / name, then, since)) for name, then in listed.items())
    return {name: now for name, then, now in found if now != then}


def _listed(directory: Path) -> dict[str, str]:
    with suppress(DamageError):
        return read_listing(directory) if is_finished(directory) else {}
    return {}


def damage(directory: Path) -> Iterator[str]:
    """Every file of a finished stage that is not as it was left, in words. Reads all of them.

    Of what stands beside the results (logs, notes, configs) one that is gone was cleaned away.
    """
    lost = faults(directory)
    yield from lost
    if lost or not is_finished(directory):
        return
    for name in modified(directory, deep=True):
        yield f"{name} was changed"
    for name, then in read_manifest(directory).get(BESIDE, {}).items():
        if _now(directory / name, then, -1) not in (then, None):
            yield f"{name} was changed; no result reads it"


def few(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _sealed(manifest: dict[str, Any]) -> str:
    text = json.dumps(manifest, indent=2)
    seal = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({**manifest, SEAL: seal}, indent=2) + "\n"


def _now(path: Path, then: str, since: int) -> str | None:
    """The hash of a file; `then` where it was not written after `since`, None where it is gone."""
    if not path.is_file():
        return None
    return then if path.stat().st_mtime_ns <= since else sha256(path)
