"""What a repository on the Hub or on GitHub holds at a revision, and what its refusals mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2
from huggingface_hub import (
    HfApi,
    constants,
    errors,
    get_session,
    get_token,
    hf_hub_url,
    hf_raise_for_status,
)

from data_builders.source_specs import Repository
from reward_plugins.errors import CamReasonerError


class FetchError(CamReasonerError, OSError):
    """Files that a repository doesn't have, doesn't give, or gives with other content."""


class RemoteFile(NamedTuple):
    """A file of a repository; `hash` is SHA-256, or git's own hash of a small file."""

    name: str
    url: str
    size: int
    hash: str


def files_of(repository: Repository) -> tuple[str, list[RemoteFile]]:
    """The commit that the revision is, and the files that fit the patterns.

    Raises `FetchError` where none does, or one has another hash than `blobs` says.
    """
    commit, listed = (_on_github if repository.kind == "github" else _on_hub)(repository)
    files = [f for f in listed if any(fnmatchcase(f.name, p) for p in repository.patterns)]
    if not files:
        patterns = ", ".join(repository.patterns)
        raise FetchError(f"{repository.repo} at {commit} holds no file like {patterns}")
    there = {file.name: file.hash for file in files}
    for name, blob in repository.blobs.items():
        if there.get(name) != blob:
            raise FetchError(
                f"{repository.repo} at {commit}: {name} has git hash {there.get(name)}, the recipe "
                f"says {blob}: it is another file; correct the recipe's revision or hash"
            )
    return commit, files


def headers(url: str) -> dict[str, str]:
    """What a request sends: bytes as they are, so that a cut file goes on; the Hub's own token."""
    token = get_token() if url.startswith(constants.ENDPOINT) else None
    return {
        "accept-encoding": "identity",
        **({"authorization": f"Bearer {token}"} if token else {}),
    }


def page_of(repository: Repository) -> str:
    """The repository's page, for people."""
    if repository.kind == "github":
        return f"https://github.com/{repository.repo}"
    return f"https://huggingface.co/{'datasets/' * (repository.kind == 'dataset')}{repository.repo}"


def _on_hub(repository: Repository) -> tuple[str, list[RemoteFile]]:
    if constants.HF_HUB_OFFLINE:
        raise errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
    api = HfApi()
    ask = api.dataset_info if repository.kind == "dataset" else api.model_info
    info = ask(
        repository.repo,
        revision=repository.revision,
        files_metadata=True,
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
    )
    commit = str(info.sha)
    return commit, [
        RemoteFile(
            name=file.rfilename,
            url=hf_hub_url(
                repository.repo, file.rfilename, repo_type=repository.kind, revision=commit
            ),
            size=file.size or 0,
            hash=file.lfs.sha256 if file.lfs is not None else str(file.blob_id),
        )
        for file in info.siblings or []
    ]


def _on_github(repository: Repository) -> tuple[str, list[RemoteFile]]:
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    repo, revision = repository.repo, repository.revision
    if constants.HF_HUB_OFFLINE:
        raise errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
    response = get_session().get(
        f"{api}/repos/{repo}/git/trees/{revision}",
        params={"recursive": "1"},
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
    )
    hf_raise_for_status(response)
    listing = _mapping(response, f"{api}/repos/{repo}/git/trees/{revision}")
    if listing.get("truncated"):
        raise FetchError(f"{repo} holds more files than GitHub lists; name a smaller repository")
    return revision, [
        RemoteFile(
            name=entry["path"],
            url=f"{server}/{repo}/raw/{revision}/{quote(entry['path'])}",
            size=entry["size"],
            hash=entry["sha"],
        )
        for entry in listing.get("tree", [])
        if entry["type"] == "blob"
    ]


def _mapping(response: httpx2.Response, url: str) -> dict[str, Any]:
    try:
        listing = response.json()
    except ValueError as error:
        raise FetchError(f"{url} is not a listing of files: {error}") from error
    if not isinstance(listing, dict):
        raise FetchError(f"{url} is not a listing of files")
    return listing


def is_transient(error: BaseException) -> bool:
    """Whether a request that failed like this may succeed when it is made again."""
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    if isinstance(error, OSError):  # with a number: the disk is full, a folder is not writable
        return not (error.errno or isinstance(error, FetchError))
    return isinstance(error, httpx2.TransportError)


def is_refusal(error: FetchError) -> bool:
    """Whether a repository was asked and won't give the files, rather than could not be asked."""
    refusals = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)  # gated is the first
    return error.__cause__ is None or isinstance(error.__cause__, refusals)


@contextmanager
def explained(repository: Repository, target: Path) -> Iterator[None]:
    """Turn errors of requests into ours: what happened to which repository, and what mends it."""
    page, repo = page_of(repository), repository.repo
    try:
        yield
    except errors.GatedRepoError as error:
        raise FetchError(
            f"{repo} is gated: accept its terms at {page}, then set HF_TOKEN (or run "
            "`hf auth login`) for the account that did"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise FetchError(
            f"there is no {repository.kind} {repo}, or it is hidden: check {page}; "
            "if it is private, set HF_TOKEN"
        ) from error
    except errors.HFValidationError as error:
        raise FetchError(f"{repo!r} is no name of a repository, owner/name: {error}") from error
    except errors.RevisionNotFoundError as error:
        raise FetchError(
            f"{repo} has no revision {repository.revision!r}: name one of its "
            f"commits ({page}), or main"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise FetchError(
            f"HF_HUB_OFFLINE is set and {target} doesn't hold all of {repo}: "
            "unset it once to fetch the rest"
        ) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, httpx2.HTTPError) as error:
        raise FetchError(
            f"fetching {repo} failed: {type(error).__name__}: {error}; what arrived is kept in "
            f"{target}: try again, or see {page} (HF_ENDPOINT and HF_TOKEN name another Hub and "
            "your token)"
        ) from error
