"""The page's server: this machine only, one HTML file, a few addresses that speak JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.review.decisions import REASONS, Decision, Decisions, trace_digest
from orchestrator.review.queue import Queue
from orchestrator.review.summary import Summary, summarise
from reward_plugins.errors import CamReasonerError

PAGE = Path(__file__).with_name("page.html")
MOST_BYTES = 100_000
"""Of a request's body."""


class ReviewServerError(CamReasonerError, OSError):
    """The page can't be served."""


class ReviewServer(ThreadingHTTPServer):
    """Serves `queue` on 127.0.0.1 and keeps what is decided in `folder`."""

    daemon_threads = True

    def __init__(self, queue: Queue, folder: Path, port: int) -> None:
        self.queue, self._folder = queue, folder
        self.decisions = Decisions(folder / "decisions.jsonl")
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise ReviewServerError(
                f"review.port: can't listen on {port} ({error.strerror}); choose another, or 0 "
                "for any that is free"
            ) from error

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://127.0.0.1:{self.server_port}/"

    def summary(self) -> Summary:
        """What has been decided so far."""
        decided = self.decisions.latest(self.queue.samples)
        return summarise(decided, len(self.queue.samples))

    def decide(self, decision: Decision) -> None:
        """Keep a decision, and the summary beside it."""
        shown = {(s.id, trace_digest(s)) for s in self.queue.samples}
        if (decision.sample_id, decision.trace) not in shown:
            raise ValueError(f"{decision.sample_id} is not under review as shown; reload the page")
        self.decisions.add(decision)
        path = self._folder / "summary.json"
        partial = path.with_name(f".{path.name}.{os.getpid()}.{id(decision)}")
        partial.write_text(json.dumps(dataclasses.asdict(self.summary()), indent=2) + "\n")
        os.replace(partial, path)

    def state(self, reviewer: str) -> dict[str, Any]:
        """What the page needs to go on where `reviewer` stopped."""
        decided = self.decisions.latest(self.queue.samples)
        mine = {sample: d for (who, sample), d in decided.items() if who == reviewer}
        return {
            "reasons": REASONS,
            "ids": [sample.id for sample in self.queue.samples],
            "mine": {sample: d.model_dump(mode="json") for sample, d in mine.items()},
            "summary": dataclasses.asdict(summarise(decided, len(self.queue.samples))),
        }


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer

    def log_message(self, *_: object) -> None:
        """Nothing: every decision is on the page."""

    def do_GET(self) -> None:
        if not self._is_from_here():
            return
        path, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
        if path == "":
            self._send(PAGE.read_bytes(), "text/html; charset=utf-8")
        elif path == "items" and rest.isdecimal() and int(rest) < len(self.server.queue.samples):
            self._json(self.server.queue.item(int(rest)))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """`/state` with {"reviewer"}, `/decisions` with a decision."""
        if not self._is_from_here():
            return
        try:
            body = json.loads(self.rfile.read(self._length()))
            if self.path == "/decisions":
                self.server.decide(Decision.model_validate(body))
            elif self.path != "/state":
                return self.send_error(HTTPStatus.NOT_FOUND)
            self._json(self.server.state(str(body["reviewer"])))
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            self._json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        except OSError as error:
            self._json({"error": f"not kept: {error}"}, HTTPStatus.INSUFFICIENT_STORAGE)

    def _length(self) -> int:
        length = int(self.headers["Content-Length"] or 0)
        if length > MOST_BYTES:
            raise ValueError(f"a request of {length} bytes is too long")
        return length

    def _is_from_here(self) -> bool:
        """Whether this is our page asking, not another one open in the same browser."""
        port = self.server.server_port
        host = self.headers["Host"] in (f"127.0.0.1:{port}", f"localhost:{port}")
        is_json = self.headers["Content-Type"] == "application/json"
        if host and (self.command == "GET" or is_json):
            return True
        self.send_error(HTTPStatus.FORBIDDEN)
        return False

    def _json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
