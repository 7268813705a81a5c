"""Fetch a folder of a GitHub repository at a pinned tree, each file checked by git's own hash.

CameraBench's questions for the test clips are published there, not on the Hub.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import httpx2
import tenacity
from pydantic import BaseModel, ConfigDict, ValidationError

from data_builders.camerabench import git_blob_sha1
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import remove_abandoned, replacement

_WORKERS = 8
_SECONDS = 30.0


class GitHubError(CamReasonerError, OSError):
    """A folder that can't be fetched, or arrives with other content than its hash says."""


class Folder(BaseModel):
    """A folder of a repository, by commit and by the hash of its tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    commit: str
    path: str
    tree: str


CAMERABENCH_ANNOTATIONS = Folder(
    repo="linzhiqiu/t2v_metrics",
    commit="6ecb74f92028f42c7e64546d3a71e98c8c73068f",
    path="camerabench/data",
    tree="c4d5716b2ee224531a6391e8c5c5658a7daea139",
)
"""15 motions and 81 pair tasks as JSON lines, CC BY 4.0."""


class _Entry(BaseModel):
    path: str
    type: str
    sha: str


class _Tree(BaseModel):
    tree: list[_Entry]
    truncated: bool = False


def fetch_folder(
    folder: Folder,
    target: Path,
    *,
    api: str = "https://api.github.com",
    raw: str = "https://raw.githubusercontent.com",
    attempts: int = 5,
    pause: float = 1.0,
) -> Path:
    """Bring `folder` to the new folder `target`, and return it; if it is there, nothing is asked.

    `target` appears when every file has the hash that the tree states. `attempts` a file, `pause`
    seconds before the second and twice as long before each further one, bridge time-outs, 429 and
    server errors. Raises `GitHubError`.
    """
    if target.is_dir():
        return target
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(pause, max=60),
        retry=tenacity.retry_if_exception(_is_transient),
        reraise=True,
    )
    remove_abandoned(target.parent)
    with replacement(target) as unfinished:
        try:
            _fetch_all(folder, unfinished, api, raw, retry)
        except httpx2.HTTPError as error:
            raise GitHubError(
                f"fetching {folder.path} of {folder.repo} failed: {error}; try again, or clone the "
                f"repository at {folder.commit} and copy that folder to {target}"
            ) from error
    return target


def _fetch_all(folder: Folder, target: Path, api: str, raw: str, retry: tenacity.Retrying) -> None:
    base = f"{raw}/{folder.repo}/{folder.commit}/{folder.path}"
    with (
        httpx2.Client(timeout=_SECONDS, follow_redirects=True) as client,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):

        def fetch_one(entry: _Entry) -> None:
            retry.copy()(_fetch_file, client, f"{base}/{entry.path}", entry, target)

        listing = f"{api}/repos/{folder.repo}/git/trees/{folder.tree}"
        list(pool.map(fetch_one, retry(_listed, client, listing)))


def _listed(client: httpx2.Client, url: str) -> list[_Entry]:
    response = client.get(url, params={"recursive": "1"}).raise_for_status()
    try:
        tree = _Tree.model_validate_json(response.content)
    except ValidationError as error:
        raise GitHubError(f"{url} is not a listing of files: {error}") from error
    files = [entry for entry in tree.tree if entry.type == "blob"]
    if tree.truncated or not files:
        raise GitHubError(f"{url} lists {len(files)} files, not all; clone the repository instead")
    return files


def _fetch_file(client: httpx2.Client, url: str, entry: _Entry, target: Path) -> None:
    if PurePosixPath(entry.path).is_absolute() or ".." in PurePosixPath(entry.path).parts:
        raise GitHubError(f"{url}: the name leads out of {target}; not fetched")
    content = client.get(url).raise_for_status().content
    if (found := git_blob_sha1(content)) != entry.sha:
        raise _CorruptError(f"{url} arrived with hash {found}, the tree states {entry.sha}")
    path = target / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


class _CorruptError(GitHubError):
    """Content that may be right at the next try."""


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, httpx2.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, (httpx2.TransportError, _CorruptError))
