"""Fetch files from the Hugging Face Hub: resumed, checked by hash, silent once complete.

`huggingface_hub` bridges cut connections, but begins a file anew after a kill and compares sizes
only. Here a file grows as `<name>.part` through any number of runs, and gets its name when its
hash is the one that the Hub states. `.fetched.json`, written last, lists what is there: with it
in place nothing is asked of the network again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

import httpx2
import tenacity
from filelock import FileLock
from huggingface_hub import HfApi, constants, errors, get_token, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from pydantic import BaseModel, ConfigDict, ValidationError

from data_builders.camerabench import git_blob_sha1
from data_builders.hub_progress import Meter, Total
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import write_file

LISTING = ".fetched.json"
_WORKERS = 4


class HubError(CamReasonerError, OSError):
    """Files that the Hub doesn't have, doesn't give, or gives with other content than it says."""


class Source(BaseModel):
    """Files of one repository on the Hub, at one revision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    revision: str = "main"
    """A commit for a reproducible result; a branch is followed at the first fetch only."""
    patterns: tuple[str, ...] = ("*",)
    """Glob patterns of the files wanted."""
    kind: Literal["dataset", "model"] = "dataset"


class _Listing(BaseModel):
    source: Source
    commit: str
    sizes: dict[str, int]


def fetch(
    source: Source,
    target: Path,
    meter: Meter | None = None,
    *,
    endpoint: str | None = None,
    attempts: int = 5,
    pause: float = 1.0,
) -> Path:
    """Bring the files of `source` into the folder `target`, and return it.

    A killed fetch goes on where it stopped. `attempts` at each file, `pause` seconds before the
    second and twice as long before each further one, bridge stalls, cut connections and server
    errors. `endpoint` defaults to HF_ENDPOINT; the token is HF_TOKEN or `hf auth login`'s. Raises
    `HubError`; a full disk raises `OSError` and leaves what was fetched for the next try.
    """
    if _is_complete(source, target):
        return target
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(pause, max=60),
        retry=tenacity.retry_if_exception(is_transient),
        reraise=True,
    )
    target.mkdir(parents=True, exist_ok=True)
    with _explained(source, target), FileLock(target / ".fetch.lock"):
        if constants.HF_HUB_OFFLINE:
            raise errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
        commit, files = retry(_wanted, source, endpoint)
        sizes = {file.rfilename: file.size or 0 for file in files}
        one = partial(_fetch_one, source, commit, target, endpoint, Total(meter, sizes))
        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(lambda file: retry.copy()(one, file), files))
    _write_listing(target, _Listing(source=source, commit=commit, sizes=sizes))
    return target


def _is_complete(source: Source, target: Path) -> bool:
    try:
        listing = _Listing.model_validate_json((target / LISTING).read_bytes())
    except (FileNotFoundError, ValidationError):
        return False
    return listing.source == source and all(
        (target / name).is_file() and (target / name).stat().st_size == size
        for name, size in listing.sizes.items()
    )


def _wanted(source: Source, endpoint: str | None) -> tuple[str, list[RepoSibling]]:
    api = HfApi(endpoint=endpoint)
    ask = api.dataset_info if source.kind == "dataset" else api.model_info
    info = ask(
        source.repo,
        revision=source.revision,
        files_metadata=True,
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
    )
    files = [
        file
        for file in info.siblings or []
        if any(fnmatchcase(file.rfilename, pattern) for pattern in source.patterns)
    ]
    if not files or info.sha is None:
        raise HubError(
            f"{source.repo} at {source.revision} holds no file like {', '.join(source.patterns)}"
        )
    return info.sha, files


def _fetch_one(
    source: Source,
    commit: str,
    target: Path,
    endpoint: str | None,
    total: Total,
    file: RepoSibling,
) -> None:
    path, size = _inside(target, file.rfilename), file.size or 0
    part = path.with_name(path.name + ".part")
    with total.counting(size) as bar:
        if path.is_file() and _hash(path, file) == _stated(file):
            return
        if part.is_file() and part.stat().st_size > size:  # of another revision
            part.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        url = hf_hub_url(
            source.repo,
            file.rfilename,
            repo_type=source.kind,
            revision=commit,
            endpoint=endpoint,
        )
        with part.open("ab") as opened:
            http_get(
                url,
                opened,
                resume_size=opened.tell(),
                headers={"authorization": f"Bearer {token}"} if (token := get_token()) else {},
                expected_size=size,
                displayed_filename=file.rfilename,
                tqdm_class=bar,
            )
        _check(part, file)
        os.replace(part, path)


def _inside(target: Path, name: str) -> Path:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise HubError(f"the Hub names a file {name!r}, which leads out of {target}: not fetched")
    return target / name


def _check(part: Path, file: RepoSibling) -> None:
    if (found := _hash(part, file)) != _stated(file):
        part.unlink()
        raise _CorruptError(
            f"{file.rfilename} arrived with hash {found}, the Hub states {_stated(file)}; "
            "it was removed: fetch again"
        )


class _CorruptError(HubError):
    """A file with other content than the Hub states: fetching again may mend it."""


def _stated(file: RepoSibling) -> str | None:
    """The Hub's hash of a file: SHA-256 of large ones, git's hash of the others."""
    return file.lfs.sha256 if file.lfs is not None else file.blob_id


def _hash(path: Path, file: RepoSibling) -> str:
    with path.open("rb") as opened:
        if file.lfs is not None:
            return hashlib.file_digest(opened, "sha256").hexdigest()
        return git_blob_sha1(opened.read())


def is_transient(error: BaseException) -> bool:
    """Whether a request that failed like this may succeed when it is made again."""
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    if isinstance(error, OSError):  # with a number: the disk is full, a folder is not writable
        return isinstance(error, _CorruptError) or not (error.errno or type(error) is HubError)
    return isinstance(error, httpx2.TransportError)


@contextmanager
def _explained(source: Source, target: Path) -> Iterator[None]:
    """Turn the Hub's errors into ours: what happened to which repository, and what mends it."""
    page = f"https://huggingface.co/{'datasets/' if source.kind == 'dataset' else ''}{source.repo}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(
            f"{source.repo} is gated: accept its terms at {page}, then set HF_TOKEN (or run "
            "`hf auth login`) for the account that did"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"the Hub has no {source.kind} {source.repo}, or hides it: check {page}; "
            "if it is private, set HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{source.repo} has no revision {source.revision!r}: see {page}") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(
            f"HF_HUB_OFFLINE is set and {target} doesn't hold all of {source.repo}: "
            "unset it once to fetch the rest"
        ) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, httpx2.HTTPError) as error:
        raise HubError(
            f"fetching {source.repo} failed: {type(error).__name__}: {error}; what arrived is kept "
            f"in {target}: try again (HF_ENDPOINT and HF_TOKEN name another server and your token)"
        ) from error


def _write_listing(target: Path, listing: _Listing) -> None:
    write_file(target / LISTING, listing.model_dump_json(indent=2) + "\n")
