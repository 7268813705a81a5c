"""Fetch files of a repository on the Hub or on GitHub: resumed, checked by hash, once.

`huggingface_hub` begins a file anew after a kill and compares sizes only. Here a file grows as
`<name>.part` through any number of runs, and gets its name when its hash is the one that the
repository states. `.fetched.json`, written last, lists what is there: with it in place nothing is
asked of the network again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import tenacity
from filelock import FileLock
from huggingface_hub.file_download import http_get
from huggingface_hub.utils.tqdm import tqdm
from pydantic import BaseModel, ValidationError

from data_builders.blob import git_blob_sha1
from data_builders.repositories import (
    FetchError,
    RemoteFile,
    explained,
    files_of,
    headers,
    is_transient,
)
from data_builders.source_specs import Repository
from reward_plugins.files import write_file

LISTING = ".fetched.json"
_WORKERS = 4

Meter = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""

log = logging.getLogger(__name__)


class CorruptError(FetchError):
    """A file with other content than its repository states: fetching again may mend it."""


class _Listing(BaseModel):
    repository: Repository
    commit: str
    sizes: dict[str, int]


def fetch(
    repository: Repository,
    target: Path,
    meter: Meter | None = None,
    *,
    attempts: int = 5,
    pause: float = 1.0,
) -> Path:
    """Bring the files of `repository` into the folder `target`, and return it.

    A killed fetch goes on where it stopped. `attempts` at each file, `pause` seconds before the
    second and twice as long before each further one, bridge stalls, cut connections and server
    errors. HF_ENDPOINT, or GITHUB_API_URL and GITHUB_SERVER_URL, name other servers; the token is
    HF_TOKEN or `hf auth login`'s. Raises `FetchError`; a full disk raises `OSError` and leaves
    what arrived for the next try.
    """
    if is_complete(repository, target):
        return target
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(pause, max=60),
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, CorruptError) or is_transient(e)),
        reraise=True,
    )
    target.mkdir(parents=True, exist_ok=True)
    with explained(repository, target), FileLock(target / ".fetch.lock"):
        commit, files = retry(files_of, repository)
        for file in files:
            _refuse_outside(target, file.name)
        total = _Total(meter, sum(file.size for file in files))
        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(lambda file: retry.copy()(_fetch_one, file, target, total), files))
    log.info("%s at %s: %d files in %s", repository.repo, commit, len(files), target)
    list_files(repository, target, commit, {file.name: file.size for file in files})
    return target


def list_files(repository: Repository, target: Path, commit: str, sizes: dict[str, int]) -> None:
    """Say that `target` holds the files of `repository`, of so many bytes each: all of them."""
    listing = _Listing(repository=repository, commit=commit, sizes=sizes)
    write_file(target / LISTING, listing.model_dump_json(indent=2) + "\n")


def is_complete(repository: Repository, target: Path) -> bool:
    """Whether `target` holds the files of `repository`."""
    try:
        listing = _Listing.model_validate_json((target / LISTING).read_bytes())
    except (FileNotFoundError, ValidationError):
        return False
    return listing.repository == repository and all(
        (target / name).is_file() and (target / name).stat().st_size == size
        for name, size in listing.sizes.items()
    )


def _refuse_outside(target: Path, name: str) -> None:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise FetchError(f"the repository names a file {name!r}, which leads out of {target}")


def _fetch_one(file: RemoteFile, target: Path, total: _Total) -> None:
    path = target / file.name
    part = path.with_name(path.name + ".part")
    with total.counting(file.size) as bar:
        if path.is_file() and _hash(path, file) == file.hash:
            return
        if part.is_file() and part.stat().st_size > file.size:  # of another revision
            part.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as opened:
            http_get(
                file.url,
                opened,
                resume_size=opened.tell(),
                headers=headers(file.url),
                expected_size=file.size,
                displayed_filename=file.name,
                tqdm_class=bar,
            )
        _check(part, file)
        os.replace(part, path)


def _check(part: Path, file: RemoteFile) -> None:
    if (found := _hash(part, file)) != file.hash:
        part.unlink()
        raise CorruptError(
            f"{file.name} arrived with hash {found}, its repository states {file.hash}; it was "
            "removed: fetch again"
        )


def _hash(path: Path, file: RemoteFile) -> str:
    with path.open("rb") as opened:
        if len(file.hash) == hashlib.sha256().digest_size * 2:
            return hashlib.file_digest(opened, "sha256").hexdigest()
        return git_blob_sha1(opened.read())


class _Total:
    """Bytes of all files together, counted once each, whichever threads fetch them."""

    def __init__(self, meter: Meter | None, size: int) -> None:
        self._meter, self._size = meter, size
        self._done, self._lock = 0, threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._meter is not None:
                self._meter(self._done, self._size)

    @contextmanager
    def counting(self, size: int) -> Iterator[type[tqdm]]:
        """A progress bar that counts a file's bytes; at the end it counts whole or not at all."""
        counted, add = 0, self.add

        class Bar(tqdm):
            def update(self, n: float | None = 1) -> bool | None:
                nonlocal counted
                counted += int(n or 0)
                add(int(n or 0))
                shown: bool | None = super().update(n)
                return shown

        whole = 0
        try:
            yield Bar
            whole = size  # more than was counted, if part of it was there before
        finally:
            add(whole - counted)
