"""Fetching, against local servers that speak the Hub's and GitHub's protocols, and misbehave."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_github import FakeGitHub
from fake_hub import COMMIT, FILES, REPO, FakeHub
from huggingface_hub import constants

from data_builders import fetch as fetching
from data_builders.blob import git_blob_sha1
from data_builders.fetch import LISTING, fetch
from data_builders.repositories import FetchError
from data_builders.source_specs import Repository

SOURCE = Repository(repo=REPO, patterns=("*.mp4",))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    with FakeHub() as fake:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, fake.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        yield fake


def _fetch(server: FakeHub, target: Path, source: Repository = SOURCE, **more: object) -> Path:
    return fetch(source, target, pause=0.01, **more)  # type: ignore[arg-type]


def _whole(target: Path) -> bool:
    clips = {name: content for name, content in FILES.items() if name.endswith(".mp4")}
    return all((target / name).read_bytes() == content for name, content in clips.items())


def test_the_wanted_files_arrive_and_progress_is_told(server: FakeHub, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    target = _fetch(server, tmp_path / "clips", meter=lambda done, all: said.append((done, all)))
    assert _whole(target)
    assert not (target / "README.md").exists()
    assert said[-1] == (209_800, 209_800)
    assert all(done <= size for done, size in said)


def test_small_files_are_checked_by_gits_hash(server: FakeHub, tmp_path: Path) -> None:
    target = _fetch(server, tmp_path, Repository(repo=REPO, patterns=("*.md",)))
    assert (target / "README.md").read_bytes() == FILES["README.md"]


def test_once_complete_the_network_is_left_alone(server: FakeHub, tmp_path: Path) -> None:
    _fetch(server, tmp_path)
    server.requests.clear()
    server.refusal = (500, "down")
    assert _whole(_fetch(server, tmp_path))
    assert server.requests == []


def test_a_lost_file_or_another_revision_is_fetched(server: FakeHub, tmp_path: Path) -> None:
    _fetch(server, tmp_path)
    (tmp_path / "a.mp4").unlink()
    assert _whole(_fetch(server, tmp_path))
    server.requests.clear()
    _fetch(server, tmp_path, SOURCE.model_copy(update={"revision": COMMIT}))
    assert server.requests


def test_remains_of_another_revision_are_replaced(server: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(len(FILES["a.mp4"])))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b c.mp4.part").write_bytes(bytes(9000))
    assert _whole(_fetch(server, tmp_path))


@pytest.mark.parametrize(
    "faults",
    [["500"], ["503", "429", "500"], ["cut"], ["stall"], ["cut", "stall", "502"], ["corrupt"]],
)
def test_passing_faults_are_bridged(server: FakeHub, tmp_path: Path, faults: list[str]) -> None:
    server.faults["a.mp4"] = list(faults)
    said: list[tuple[int, int]] = []
    _fetch(server, tmp_path, meter=lambda done, all: said.append((done, all)))
    assert _whole(tmp_path)
    assert said[-1] == (209_800, 209_800)
    assert not server.faults["a.mp4"]


def test_a_listing_that_stalls_is_asked_for_again(server: FakeHub, tmp_path: Path) -> None:
    server.faults["listing"] = ["stall"]
    assert _whole(_fetch(server, tmp_path))
    assert len([path for path, _ in server.requests if path.startswith("/api/")]) == 2


def test_a_cut_download_goes_on_where_it_stopped(server: FakeHub, tmp_path: Path) -> None:
    server.faults["a.mp4"] = ["cut"]
    _fetch(server, tmp_path)
    assert _ranges(server) == [None, "bytes=1000-"]


def test_a_fetch_that_failed_goes_on_where_it_stopped(server: FakeHub, tmp_path: Path) -> None:
    server.faults["a.mp4"] = ["cut", "500"]
    with pytest.raises(FetchError):
        _fetch(server, tmp_path, attempts=1)
    said: list[tuple[int, int]] = []
    assert _whole(_fetch(server, tmp_path, meter=lambda done, all: said.append((done, all))))
    assert _ranges(server)[-1] == "bytes=1000-"
    assert said[-1] == (209_800, 209_800)


def _ranges(server: FakeHub) -> list[str | None]:
    return [r for path, r in server.requests if "cdn/a.mp4" in path]


def test_lasting_faults_end_in_an_error_that_says_what_is_kept(
    server: FakeHub, tmp_path: Path
) -> None:
    server.faults["a.mp4"] = ["500"] * 50
    with pytest.raises(FetchError, match=r"(?s)fetching someone/clips failed.*try again"):
        _fetch(server, tmp_path, attempts=3)
    assert not (tmp_path / fetching.LISTING).exists()
    server.faults.clear()
    assert _whole(_fetch(server, tmp_path))


def test_content_that_stays_wrong_is_an_error_and_is_removed(
    server: FakeHub, tmp_path: Path
) -> None:
    server.faults["a.mp4"] = ["corrupt"] * 50
    with pytest.raises(FetchError, match=r"a\.mp4 arrived with hash"):
        _fetch(server, tmp_path, attempts=2)
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", "gated: accept its terms at https://huggingface.co/datasets/someone"),
        (401, "RepoNotFound", "there is no dataset someone/clips, or it is hidden"),
        (404, "RepoNotFound", "set HF_TOKEN"),
        (404, "RevisionNotFound", "no revision 'main'"),
        (401, "Unauthorized", "HF_TOKEN"),
        (429, "slow down", "fetching someone/clips failed"),
        (500, "down", "fetching someone/clips failed"),
    ],
)
def test_refusals_say_what_mends_them(
    server: FakeHub, tmp_path: Path, status: int, code: str, said: str
) -> None:
    server.refusal = (status, code)
    with pytest.raises(FetchError, match=said):
        _fetch(server, tmp_path, attempts=2)
    assert len(server.requests) == (2 if status in (429, 500) else 1)


def test_a_name_that_leads_out_of_the_folder_is_refused(
    server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "../evil.mp4", b"x")
    with pytest.raises(FetchError, match="leads out of"):
        _fetch(server, tmp_path / "clips")
    assert not (tmp_path / "evil.mp4").exists()


def test_no_such_file_is_an_error(server: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"no file like \*\.zip"):
        _fetch(server, tmp_path, Repository(repo=REPO, patterns=("*.zip",)))


def test_no_server_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match="fetching someone/clips failed"):
        fetch(SOURCE, tmp_path, attempts=2, pause=0.01)


def test_offline_and_incomplete_is_an_error(
    server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set"):
        _fetch(server, tmp_path)


def test_a_full_disk_is_not_retried(
    server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(*_: object, **__: object) -> None:
        calls.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "http_get", full)
    with pytest.raises(OSError, match="No space left"):
        _fetch(server, tmp_path, Repository(repo=REPO, patterns=("a.mp4",)))
    assert calls == [1]


def test_endpoint_and_token_come_from_the_environment(server: FakeHub, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from data_builders.fetch import *; "
        f"fetch(Repository(repo='{REPO}', patterns=('*.mp4',)), Path({str(tmp_path)!r}))"
    )
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_TOKEN": "hf_secret"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert _whole(tmp_path)
    assert server.tokens == {"Bearer hf_secret"}


QUESTIONS = {"data/one.jsonl": b"{}\n", "data/sub/two three.jsonl": b"x" * 9000, "big": b""}
ON_GITHUB = Repository(repo="a/b", revision="c1", patterns=("data/*",), kind="github")


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    with FakeGitHub("a/b", "c1", dict(QUESTIONS)) as fake:
        monkeypatch.setenv("GITHUB_API_URL", fake.url)
        monkeypatch.setenv("GITHUB_SERVER_URL", fake.url)
        yield fake


def _tree(folder: Path) -> dict[str, bytes]:
    files = [f for f in folder.rglob("*") if f.is_file() and not f.name.startswith(".")]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


WANTED = {name: content for name, content in QUESTIONS.items() if name.startswith("data/")}


def test_a_folder_on_github_is_fetched_whole_and_once(github: FakeGitHub, tmp_path: Path) -> None:
    assert _tree(fetch(ON_GITHUB, tmp_path)) == WANTED
    asked = len(github.requests)
    assert _tree(fetch(ON_GITHUB, tmp_path)) == WANTED
    assert len(github.requests) == asked == 3
    assert json.loads((tmp_path / LISTING).read_text())["commit"] == "c1"


@pytest.mark.parametrize("path", ["tree", "data/sub/two three.jsonl"])
@pytest.mark.parametrize("faults", [["500"], ["503", "502"]])
def test_passing_faults_of_github_are_bridged(
    github: FakeGitHub, tmp_path: Path, path: str, faults: list[str]
) -> None:
    github.faults[path] = list(faults)
    assert _tree(fetch(ON_GITHUB, tmp_path, pause=0.01)) == WANTED


def test_a_cut_file_of_github_goes_on_where_it_stopped(github: FakeGitHub, tmp_path: Path) -> None:
    name = "data/sub/two three.jsonl"
    github.faults[name] = ["cut", "500"]
    with pytest.raises(FetchError, match="what arrived is kept"):
        fetch(ON_GITHUB, tmp_path, attempts=1)
    assert _tree(fetch(ON_GITHUB, tmp_path)) == WANTED
    assert [r for path, r in github.requests if path.endswith(name)][-1] == "bytes=1000-"


def test_changed_content_on_github_is_fetched_again_or_refused(
    github: FakeGitHub, tmp_path: Path
) -> None:
    github.faults["data/one.jsonl"] = ["corrupt"]
    assert _tree(fetch(ON_GITHUB, tmp_path / "a", pause=0.01)) == WANTED
    github.faults["data/one.jsonl"] = ["corrupt"] * 9
    with pytest.raises(FetchError, match=r"one\.jsonl arrived with hash"):
        fetch(ON_GITHUB, tmp_path / "b", attempts=2, pause=0.01)


def test_a_file_with_another_hash_than_the_recipes_is_refused(
    github: FakeGitHub, tmp_path: Path
) -> None:
    blob = git_blob_sha1(QUESTIONS["data/one.jsonl"])
    pinned = ON_GITHUB.model_copy(update={"blobs": {"data/one.jsonl": blob}})
    assert _tree(fetch(pinned, tmp_path / "a")) == WANTED
    for name, wrong in (("data/one.jsonl", "0" * 40), ("data/none.jsonl", blob)):
        other = ON_GITHUB.model_copy(update={"blobs": {name: wrong}})
        with pytest.raises(FetchError, match=f"{name} has git hash"):
            fetch(other, tmp_path / "b")


@pytest.mark.parametrize("listing", [b"<html>", b"[]", b'{"tree": []}'])
def test_an_unusable_listing_is_an_error(
    github: FakeGitHub, tmp_path: Path, listing: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "tree", lambda: listing)
    with pytest.raises(FetchError):
        fetch(ON_GITHUB, tmp_path)


def test_a_part_of_a_listing_is_an_error(github: FakeGitHub, tmp_path: Path) -> None:
    whole = github.tree()
    github.tree = lambda: whole[:-1] + b', "truncated": true}'  # type: ignore[method-assign]
    with pytest.raises(FetchError, match="more files than GitHub lists"):
        fetch(ON_GITHUB, tmp_path)


def test_a_name_of_github_that_leads_out_is_refused(github: FakeGitHub, tmp_path: Path) -> None:
    github.files["data/../../evil"] = b"x"
    github.listed["data/../../evil"] = git_blob_sha1(b"x")
    with pytest.raises(FetchError, match="leads out of"):
        fetch(ON_GITHUB, tmp_path / "in" / "data")
    assert not list(tmp_path.rglob("evil"))
