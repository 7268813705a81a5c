"""A local server that speaks the Hub's protocol, and misbehaves on request."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler

from data_builders.blob import git_blob_sha1
from tests.local_server import LocalServer, reply

COMMIT = "c" * 40
REPO = "someone/clips"
FILES = {"a.mp4": bytes(range(256)) * 800, "deep/b c.mp4": b"b" * 5000, "README.md": b"# Clips\n"}


class FakeHub(LocalServer):
    """Serves files; `faults[name]` lists what goes wrong at the next requests for that file."""

    protocol = "HTTP/1.1"

    def __init__(
        self,
        repo: str = REPO,
        files: dict[str, bytes] = FILES,
        commit: str = COMMIT,
        kind: str = "dataset",
    ) -> None:
        self.repo, self.files, self.commit = repo, files, commit
        self.listing = f"/api/{kind}s/{repo}"
        self.content = f"/{'datasets/' * (kind == 'dataset')}{repo}/resolve/{commit}/"
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.refusal: tuple[int, str] | None = None
        self.requests: list[tuple[str, str | None]] = []
        self.tokens: set[str | None] = set()
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.replace("%20", " ")
        self.requests.append((path, request.headers["Range"]))
        if self.repo in path:
            self.tokens.add(request.headers["Authorization"])
        if self.refusal:
            status, code = self.refusal
            reply(request, status, headers={"X-Error-Code": code, "X-Error-Message": code})
        elif path.startswith(self.listing):
            if self.faults["listing"] and self.faults["listing"].pop(0) == "stall":
                threading.Event().wait(1)
            reply(request, 200, self._info(), {"Content-Type": "application/json"})
        elif path.startswith(self.content):
            cdn = request.path.replace(self.content, "/cdn/")
            reply(request, 302, headers={"Location": cdn})
        elif path.startswith("/cdn/"):
            self._file(request, path.removeprefix("/cdn/"))
        else:
            reply(request, 404)

    def _file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        content = self.files[name]
        headers = {}
        fault = self.faults[name].pop(0) if self.faults[name] else ""
        if fault.isdigit():
            return reply(request, int(fault))
        if fault == "corrupt":
            content = content[:-1] + b"?"
        start = int((request.headers["Range"] or "bytes=0-").split("=")[1].split("-")[0])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        sent = content[start : start + 1000] if fault in ("cut", "stall") else content[start:]
        headers["Content-Length"] = str(len(content) - start)
        reply(request, 206 if start else 200, sent, headers)
        if fault == "stall":
            time.sleep(1)
        if fault in ("cut", "stall"):
            request.close_connection = True

    def _info(self) -> bytes:
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": git_blob_sha1(content),
                "lfs": {"sha256": sha256(content), "size": len(content), "pointerSize": 130}
                if name.endswith((".mp4", ".tar"))
                else None,
            }
            for name, content in self.files.items()
        ]
        body = {
            "id": self.repo,
            "sha": self.commit,
            "siblings": siblings,
            "tags": [],
            "private": False,
        }
        return json.dumps(body).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
