"""The folder of the frame cache: whose it is, and who reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reward_plugins.files import PARTIAL, hold, remove_abandoned, write_file

TAG, LOCK = "CACHEDIR.TAG", ".lock"
TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"  # bford.info/cachedir, which backups know
    "# Decoded frames of CamReasoner. What stands in this folder may be removed by its commands.\n"
)
ENTRY = re.compile(r"[0-9a-f]{32}")


@contextmanager
def in_use(cache: Path) -> Iterator[None]:
    """Keep the cache from being removed, together with whoever else reads it; made if missing.

    What killed processes left half written goes, where the folder is ours: it held nothing but
    entries when it was first used. In another folder nothing is ever removed.
    """
    names = [path.name for path in cache.iterdir()] if cache.is_dir() else []
    if all(ENTRY.fullmatch(name) or PARTIAL.fullmatch(name) for name in names):
        write_file(cache / TAG, TAG_TEXT)
    if is_ours(cache):
        remove_abandoned(cache)
    with hold(cache / LOCK, alone=False):
        yield


def is_ours(folder: Path) -> bool:
    """Whether the folder was made for frames, so that all in it can be made again."""
    tag = folder / TAG
    return tag.is_file() and tag.read_text(errors="replace") == TAG_TEXT
