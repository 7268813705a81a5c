"""A local server that lists and serves a GitHub repository, and misbehaves on request."""

from __future__ import annotations

import json
from collections import defaultdict
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from data_builders.blob import git_blob_sha1
from tests.local_server import LocalServer, reply


class FakeGitHub(LocalServer):
    """Serves `files`; `faults[name]` lists what goes wrong at the next requests for a file."""

    def __init__(self, repo: str, commit: str, files: dict[str, bytes]) -> None:
        self.repo, self.commit, self.files = repo, commit, files
        self.listed = {name: git_blob_sha1(content) for name, content in files.items()}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []
        self.also: FakeGitHub | None = None
        """Another repository of the same server."""
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(request.path)
        if self.also is not None and self.also.repo in path:
            return self.also.answer(request)
        self.requests.append((path, request.headers["Range"]))
        if path == f"/repos/{self.repo}/git/trees/{self.commit}?recursive=1":
            fault = self.faults["tree"].pop(0) if self.faults["tree"] else "200"
            return reply(request, int(fault), self.tree(), {"Content-Type": "application/json"})
        name = path.removeprefix(f"/{self.repo}/raw/{self.commit}/")
        if name not in self.files:
            return reply(request, 404)
        fault = self.faults[name].pop(0) if self.faults[name] else "200"
        if fault.isdigit() and fault != "200":
            return reply(request, int(fault))
        content = self.files[name]
        content = b"?" + content[1:] if fault == "corrupt" else content
        start = int((request.headers["Range"] or "bytes=0-").split("=")[1].split("-")[0])
        sent = content[start : start + 1000] if fault == "cut" else content[start:]
        length = {"Content-Length": str(len(content) - start)}
        spans = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        reply(request, 206 if start else 200, sent, {**length, **(spans if start else {})})

    def tree(self) -> bytes:
        blobs = [
            {"path": name, "type": "blob", "sha": sha, "size": len(self.files[name])}
            for name, sha in self.listed.items()
        ]
        return json.dumps({"tree": [{"path": "sub", "type": "tree", "sha": "s"}, *blobs]}).encode()
