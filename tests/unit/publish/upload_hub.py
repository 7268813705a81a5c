"""A local server that takes uploads as the Hub does, and misbehaves on request.

Repositories, preupload, Git LFS (one part or many, with verification), Xet and commits; routes and
bodies as huggingface_hub 2.4 (hf_api.py, _commit_api.py, lfs.py) and hf_xet 1.8 send them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.local_server import LocalServer, reply

COMMIT = "c" * 40
XET_TOKEN = "of Xet's storage"
PART = 4000
"""Bytes of a part; larger files are sent in several."""
LARGE = (".safetensors", ".mp4", ".parquet")


class FakeHub(LocalServer):
    """`faults[route]` lists what goes wrong at the next requests: a status, "cut" or "stall"."""

    protocol = "HTTP/1.1"

    def __init__(self) -> None:
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.requests: list[str] = []
        self.tokens: dict[str, set[str | None]] = defaultdict(set)
        self.repos: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.silence = threading.Event()
        super().__init__()

    def server_close(self) -> None:
        self.silence.set()
        super().server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        route = _route(path)
        self.requests.append(route)
        fault = self.faults[route].pop(0) if self.faults[route] else ""
        if fault == "cut":
            request.rfile.read(min(1000, int(request.headers["Content-Length"] or 0)))
            return _cut(request)
        body = _body(request)
        if fault == "stall":
            self.silence.wait(20)
            return _cut(request)
        if fault.isdigit():
            return _send(request, int(fault), {"error": "no"})
        if route != "put":
            self.tokens[route].add(request.headers["Authorization"])
        if fault == "corrupt":
            body = body[:-1] + b"?"
        _send(request, *getattr(self, f"_{route}")(path, body))

    def _create(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        known = name in self.repos
        if not known:
            private = asked.get("visibility") == "private"
            self.repos[name] = {"private": private, "type": asked["type"], "files": {}}
        made = {"url": f"{self.url}/{name}", "id": name, "name": name}
        return (409 if known else 200), made, {}

    def _info(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        name = "/".join(path.split("/")[3:5])
        repo = self.repos[name]
        siblings = [
            {
                "rfilename": file,
                "size": len(content),
                "blobId": "b",
                "lfs": {"sha256": _sha(content), "size": len(content), "pointerSize": 130}
                if file.endswith(LARGE)
                else None,
            }
            for file, content in repo["files"].items()
        ]
        facts = {"id": name, "sha": COMMIT, "private": repo["private"], "tags": []}
        return 200, {**facts, "siblings": siblings}, {}

    def _validate(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        assert json.loads(body)["content"].startswith("---\n")
        return 200, {"errors": [], "warnings": []}, {}

    def _preupload(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        names = [file["path"] for file in json.loads(body)["files"]]
        modes = {name: "lfs" if name.endswith(LARGE) else "regular" for name in names}
        files = [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]
        return 200, {"files": files}, {}

    def _batch(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        return 200, {"objects": [self._ticket(o) for o in json.loads(body)["objects"]]}, {}

    def _ticket(self, wanted: dict[str, Any]) -> dict[str, Any]:
        oid, size = wanted["oid"], wanted["size"]
        if oid in self.objects:
            return wanted
        upload: dict[str, Any] = {"href": f"{self.url}/put/{oid}"}
        if size > PART:
            count = -(-size // PART)
            parts = {f"{n + 1:05}": f"{self.url}/put/{oid}/{n:05}" for n in range(count)}
            upload = {"href": f"{self.url}/complete/{oid}", "header": {"chunk_size": PART, **parts}}
        return {**wanted, "actions": {"upload": upload, "verify": {"href": f"{self.url}/verify"}}}

    def _put(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        oid, _, part = path.removeprefix("/put/").partition("/")
        if part:
            self.parts[f"{oid}/{part}"] = body
        else:
            self.objects[oid] = body
        return 200, {}, {"ETag": "etag"}

    def _complete(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        oid = path.removeprefix("/complete/")
        names = sorted(name for name in self.parts if name.startswith(oid))
        assert len(names) == len(json.loads(body)["parts"])
        self.objects[oid] = b"".join(self.parts[name] for name in names)
        return 200, {}, {}

    def _verify(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        oid = json.loads(body)["oid"]
        whole = _sha(self.objects.get(oid, b"")) == oid
        if not whole:
            self.objects.pop(oid, None)
        return (200 if whole else 422), {}, {}

    def _token(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        until = int(time.time()) + 3600
        return 200, {"accessToken": XET_TOKEN, "exp": until, "casUrl": self.url}, {}

    def _absent(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        """No chunk is known already, and there are no grants: the client sends xorbs itself."""
        return 404, {}, {}

    def _xorbs(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        content = xorb_content(body)
        self.objects[_sha(content)] = content
        return 200, {"was_inserted": True}, {}

    def _shards(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        return 200, {"type": "result"}, {}

    def _telemetry(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        return 200, {}, {}

    def _commit(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        name = "/".join(path.split("/")[3:5])
        fresh: dict[str, bytes] = {}
        for row in map(json.loads, body.splitlines()):
            value = row["value"]
            if row["key"] == "file":
                fresh[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                fresh[value["path"]] = self.objects[value["oid"]]
        self.repos[name]["files"].update(fresh)
        url = f"{self.url}/{name}/commit/{COMMIT}"
        return 200, {"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""}, {}


def xorb_content(body: bytes) -> bytes:
    """What a xorb holds, if nothing in it is compressed: chunks with eight bytes before each
    (version, length in three bytes, compression, whole length in three bytes).
    """
    content, at = b"", 0
    while at < len(body):
        length = int.from_bytes(body[at + 1 : at + 4], "little")
        assert body[at] == body[at + 4] == 0
        content += body[at + 8 : at + 8 + length]
        at += 8 + length
    return content


def _route(path: str) -> str:
    named = {"/api/repos/create": "create", "/api/validate-yaml": "validate"}
    named |= {"xet-write-token": "token", "chunks": "absent", "xorb-grants": "absent"}
    words = ("preupload", "commit", "batch", "put", "complete", "verify")
    named |= {word: word for word in (*words, "xorbs", "shards", "telemetry")}
    return next((named[part] for part in (path, *path.split("/")) if part in named), "info")


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers["Transfer-Encoding"] != "chunked":
        return request.rfile.read(int(request.headers["Content-Length"] or 0))
    found = b""
    while size := int(request.rfile.readline(), 16):
        found += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return found


def _cut(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


def _send(
    request: BaseHTTPRequestHandler, status: int, said: Any, headers: dict[str, str] | None = None
) -> None:
    named = {"Content-Type": "application/json", **(headers or {})}
    reply(request, status, json.dumps(said).encode(), named)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
