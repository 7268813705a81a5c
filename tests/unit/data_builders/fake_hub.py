"""A local server that speaks the Hub's protocol, and misbehaves on request."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from data_builders.camerabench import git_blob_sha1

COMMIT = "c" * 40
REPO = "someone/clips"
FILES = {"a.mp4": bytes(range(256)) * 800, "deep/b c.mp4": b"b" * 5000, "README.md": b"# Clips\n"}


class FakeHub:
    """Serves files; `faults[name]` lists what goes wrong at the next requests for that file."""

    def __init__(
        self, repo: str = REPO, files: dict[str, bytes] = FILES, commit: str = COMMIT
    ) -> None:
        self.repo, self.files, self.commit = repo, files, commit
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.refusal: tuple[int, str] | None = None
        self.requests: list[tuple[str, str | None]] = []
        self.tokens: set[str | None] = set()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                fake.answer(self)

            def do_HEAD(self) -> None:
                fake.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.replace("%20", " ")
        self.requests.append((path, request.headers["Range"]))
        if self.repo in path:
            self.tokens.add(request.headers["Authorization"])
        if self.refusal:
            status, code = self.refusal
            self._send(request, status, {"X-Error-Code": code, "X-Error-Message": code}, b"")
        elif path.startswith(f"/api/datasets/{self.repo}"):
            if self.faults["listing"] and self.faults["listing"].pop(0) == "stall":
                threading.Event().wait(1)
            self._send(request, 200, {"Content-Type": "application/json"}, self._info())
        elif path.startswith(f"/datasets/{self.repo}/resolve/{self.commit}/"):
            cdn = request.path.replace(f"/datasets/{self.repo}/resolve/{self.commit}/", "/cdn/")
            self._send(request, 302, {"Location": cdn}, b"")
        elif path.startswith("/cdn/"):
            self._file(request, path.removeprefix("/cdn/"))
        else:
            self._send(request, 404, {}, b"")

    def _file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        content = self.files[name]
        headers = {}
        fault = self.faults[name].pop(0) if self.faults[name] else ""
        if fault.isdigit():
            return self._send(request, int(fault), {}, b"")
        if fault == "corrupt":
            content = content[:-1] + b"?"
        start = int((request.headers["Range"] or "bytes=0-").split("=")[1].split("-")[0])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        sent = content[start : start + 1000] if fault in ("cut", "stall") else content[start:]
        headers["Content-Length"] = str(len(content) - start)
        self._send(request, 206 if start else 200, headers, sent)
        if fault == "stall":
            time.sleep(1)
        if fault in ("cut", "stall"):
            request.close_connection = True

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()

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
