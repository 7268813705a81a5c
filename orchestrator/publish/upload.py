"""To the Hub by its own client: a repository, one commit, and a look at what arrived."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import tenacity
from huggingface_hub import CommitOperationAdd, HfApi, constants, errors, set_client_factory

from data_builders.repositories import is_transient
from orchestrator.errors import PublishError
from orchestrator.plan.digests import sha256
from orchestrator.publish.card import CARD
from orchestrator.publish.package import Package


def upload(
    package: Package,
    repo: str,
    message: str,
    *,
    private: bool = True,
    endpoint: str | None = None,
    attempts: int = 4,
    pause: float = 2.0,
    seconds: float = 60.0,
) -> str:
    """Make or update the repository `repo`, and return the commit's address.

    A commit is all or nothing, and large files that arrived before a failure are not sent again.
    `attempts` at the whole, `pause` seconds before the second and twice as long before each
    further one, come on top of the client's own for each request; a server silent for `seconds`
    counts as one failure (the client itself would wait for ever). The token is HF_TOKEN's.
    Raises `PublishError`.
    """
    api = HfApi(endpoint=endpoint)
    set_client_factory(lambda: httpx2.Client(follow_redirects=True, timeout=seconds))
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(pause, max=60),
        retry=tenacity.retry_if_exception(_passes),
        reraise=True,
    )
    with _explain_errors(repo):
        if constants.HF_HUB_OFFLINE:
            raise errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
        retry(_ready, api, package, repo, private, seconds)
        address = retry(_commit, api, package, repo, message)
        if other := retry(_differing, api, package, repo, seconds):
            raise PublishError(
                f"{repo}: arrived other than sent: {', '.join(other[:5])}; publish again"
            )
    return address


def _ready(api: HfApi, package: Package, repo: str, private: bool, seconds: float) -> None:
    api.create_repo(repo, repo_type=package.kind, private=private, exist_ok=True)
    public = not api.repo_info(repo, repo_type=package.kind, timeout=seconds).private
    if private and public:
        raise PublishError(
            f"{repo} is there and public, and this would show the files to everyone: add "
            "private=false if that is meant, or name another repository"
        )


def _commit(api: HfApi, package: Package, repo: str, message: str) -> str:
    operations = [CommitOperationAdd(name, path) for name, path in package.files.items()]
    operations.append(CommitOperationAdd(CARD, package.card.encode()))
    made = api.create_commit(repo, operations, repo_type=package.kind, commit_message=message)
    return str(made.commit_url)


def _differing(api: HfApi, package: Package, repo: str, seconds: float) -> list[str]:
    """Names whose file there is missing, or has another SHA-256; small files have none there."""
    ask = api.dataset_info if package.kind == "dataset" else api.model_info
    info = ask(repo, files_metadata=True, timeout=seconds)
    there = {f.rfilename: f.lfs and f.lfs.sha256 for f in info.siblings or []}
    return [
        name
        for name, path in package.files.items()
        if name not in there or there[name] not in (None, sha256(path))
    ]


def _passes(error: BaseException) -> bool:
    """Whether another try may help; the client wraps what went wrong with a large file."""
    return is_transient(error) or (error.__cause__ is not None and _passes(error.__cause__))


@contextmanager
def _explain_errors(repo: str) -> Iterator[None]:
    """Turn the client's errors into ours: what happened, and what mends it."""
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise PublishError("HF_HUB_OFFLINE is set: unset it to publish") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise PublishError(
                f"the Hub refuses {repo} ({status}): set HF_TOKEN to a token with write access to "
                f"{repo.partition('/')[0]}"
            ) from error
        raise PublishError(f"publishing {repo} failed: {error}; {_AGAIN}") from error
    except (httpx2.HTTPError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, PublishError):
            raise
        cause = error.__cause__ or error
        raise PublishError(
            f"publishing {repo} failed: {type(cause).__name__}: {cause}; {_AGAIN}"
        ) from error


_AGAIN = "nothing is changed there; publish again to go on (HF_ENDPOINT names another server)"
