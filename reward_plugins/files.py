"""Files and folders that appear whole or not at all: how everything here is written."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial")
"""Names of what is being written; nothing of the user's has such a name."""
ABANDONED_SECONDS = 86_400.0


def write_file(path: Path, content: str | bytes) -> None:
    """Replace `path` with `content` in one step: a crash leaves the old file or the new one."""
    with replacement(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """A name beside `path`: what the block writes there, a file or a folder, becomes `path`.

    It does so when the block ends, synced to the disk; when the block fails, it is removed and
    `path` stays as it was. Any number of threads and processes may write one path: the last file
    or link stays, of folders the first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}.partial")
    try:
        yield partial
        sync(partial)
        try:
            os.replace(partial, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        _sync_one(path.parent)
    finally:
        remove(partial)


def sync(path: Path) -> None:
    """Have the file, or each file and folder of the folder, on the disk."""
    if path.is_symlink():
        return
    for folder, _, names in os.walk(path, topdown=False):
        files = (Path(folder, name) for name in names)
        for each in (*(file for file in files if not file.is_symlink()), Path(folder)):
            _sync_one(each)
    if not path.is_dir():
        _sync_one(path)


def remove(path: Path) -> None:
    """Remove the file, link or folder, if it is there; never what a link leads to."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def hold(path: Path, *, alone: bool = True, wait: bool = True) -> Iterator[int]:
    """Hold the system's lock on the file `path`, alone or with others; yields its descriptor.

    It ends with the last process that has the descriptor, however that ends. Raises
    `BlockingIOError` where another holds it and `wait` is false; another `OSError` where the file
    system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
        yield file.fileno()


def remove_abandoned(folder: Path, seconds: float = ABANDONED_SECONDS) -> None:
    """Remove what killed processes left half written in `folder`, `seconds` and more ago."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if PARTIAL.fullmatch(path.name):
            with suppress(FileNotFoundError):  # another process has just finished it
                if time.time() - path.lstat().st_mtime >= seconds:
                    remove(path)


def _sync_one(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that can't sync folders
            raise
    finally:
        os.close(opened)
