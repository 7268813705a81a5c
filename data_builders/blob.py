"""Git's own hash of a file, by which released files are known."""

from __future__ import annotations

import hashlib


def git_blob_sha1(data: bytes) -> str:
    """The hash git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
