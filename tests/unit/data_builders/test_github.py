from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from data_builders.camerabench import git_blob_sha1
from data_builders.github import Folder, GitHubError, fetch_folder
from tests.local_server import LocalServer, reply

FOLDER = Folder(repo="a/b", commit="c1", path="data", tree="t1")
FILES = {"one.jsonl": b"{}\n", "sub/two three.jsonl": b"x" * 9000}


class FakeGitHub(LocalServer):
    """Serves FILES; `faults[path]` lists what goes wrong at the next requests for it."""

    def __init__(self) -> None:
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.files = dict(FILES)
        self.requests = 0
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        path = request.path.replace("%20", " ").removeprefix("/a/b/c1/data/")
        if path == "/repos/a/b/git/trees/t1?recursive=1":
            path, body = "tree", self.tree()
        else:
            body = self.files[path]
        fault = self.faults[path].pop(0) if self.faults[path] else "200"
        body = b"?" + body[1:] if fault == "corrupt" else body
        length = {"Content-Length": str(len(body))}
        status = int(fault) if fault.isdigit() else 200
        reply(request, status, body[:1] if fault == "cut" else body, length)

    def tree(self) -> bytes:
        blobs = [
            {"path": name, "type": "blob", "sha": git_blob_sha1(FILES.get(name, content))}
            for name, content in self.files.items()
        ]
        return json.dumps({"tree": [{"path": "sub", "type": "tree", "sha": "s"}, *blobs]}).encode()


@pytest.fixture
def server() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


def _fetch(server: FakeGitHub, target: Path, attempts: int = 4) -> Path:
    return fetch_folder(
        FOLDER, target, api=server.url, raw=server.url, attempts=attempts, pause=0.01
    )


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_a_folder_is_fetched_whole_and_once(server: FakeGitHub, tmp_path: Path) -> None:
    assert _tree(_fetch(server, tmp_path / "data")) == FILES
    asked = server.requests
    assert _tree(_fetch(server, tmp_path / "data")) == FILES
    assert server.requests == asked == 3
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("path", ["tree", "one.jsonl"])
@pytest.mark.parametrize("faults", [["500"], ["429", "503", "502"], ["cut"]])
def test_passing_faults_are_bridged(
    server: FakeGitHub, tmp_path: Path, path: str, faults: list[str]
) -> None:
    server.faults[path] = list(faults)
    assert _tree(_fetch(server, tmp_path / "data")) == FILES


def test_changed_content_is_fetched_again_or_refused(server: FakeGitHub, tmp_path: Path) -> None:
    server.faults["one.jsonl"] = ["corrupt"]
    assert _tree(_fetch(server, tmp_path / "data")) == FILES
    server.faults["one.jsonl"] = ["corrupt"] * 9
    with pytest.raises(GitHubError, match=r"one\.jsonl arrived with hash"):
        _fetch(server, tmp_path / "again", attempts=2)
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("faults", [["404"], ["500"] * 9])
def test_lasting_faults_are_an_error_that_says_what_to_do(
    server: FakeGitHub, tmp_path: Path, faults: list[str]
) -> None:
    server.faults["tree"] = faults
    with pytest.raises(GitHubError, match="clone the repository at c1 and copy that folder"):
        _fetch(server, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


_PART = b'{"tree": [{"path": "one.jsonl", "type": "blob", "sha": "%s"}], "truncated": true}' % (
    git_blob_sha1(FILES["one.jsonl"]).encode()
)


@pytest.mark.parametrize("listing", [b"<html>", b'{"tree": []}', _PART])
def test_an_unusable_listing_is_an_error(
    server: FakeGitHub, tmp_path: Path, listing: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "tree", lambda: listing)
    with pytest.raises(GitHubError):
        _fetch(server, tmp_path / "data")


def test_a_name_that_leads_out_is_refused(server: FakeGitHub, tmp_path: Path) -> None:
    server.files["../evil"] = b"x"
    with pytest.raises(GitHubError, match="leads out of"):
        _fetch(server, tmp_path / "in" / "data")
    assert not list(tmp_path.rglob("evil"))
