"""What the local pages share: a server for this machine alone, one HTML file, one style."""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from data_builders.decoding import Frames
from reward_plugins.errors import CamReasonerError

STYLE = Path(__file__).with_name("page.css")
MOST_REQUESTS = 64
"""At a time."""
QUALITY = 95
"""Of the JPEG pictures shown."""


class PageError(CamReasonerError, OSError):
    """The page can't be served."""


class PageServer(ThreadingHTTPServer):
    """Serves on 127.0.0.1; `said` is what a user would change to have another port."""

    def __init__(self, handler: type[PageHandler], port: int, said: str) -> None:
        self._room = threading.BoundedSemaphore(MOST_REQUESTS)
        try:
            super().__init__(("127.0.0.1", port), handler)
        except OSError as error:
            raise PageError(
                f"{said}: can't listen on {port} ({error.strerror}); choose another, or 0 "
                "for any that is free"
            ) from error

    request_queue_size = 512
    """Connections that wait to be answered, or hung up on."""

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, unless too many are at work."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make room when the request is answered."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def serve_until_interrupted(self) -> None:
        """Serve until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            self.serve_forever()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A tab that was closed while it waited is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://127.0.0.1:{self.server_port}/"


class PageHandler(BaseHTTPRequestHandler):
    """Answers the page that it serves, and no other page open in the same browser."""

    timeout = 30
    """Seconds without a byte from the browser."""
    page: Path
    """The HTML file."""
    kinds: tuple[str, ...] = ("application/json",)
    """Content types of what the page sends. A foreign page can't send these without asking."""
    server: PageServer

    def log_message(self, *_: object) -> None:
        """Nothing: what happens is on the page."""

    def do_GET(self) -> None:
        if not self.is_from_here():
            return
        path = self.path.partition("?")[0]
        files = {"/": (self.page, "text/html"), "/style.css": (STYLE, "text/css")}
        if path in files:
            file, kind = files[path]
            self.send(file.read_bytes(), f"{kind}; charset=utf-8")
        else:
            self.get(path.lstrip("/"))

    def do_POST(self) -> None:
        if self.is_from_here():
            self.post()

    def get(self, path: str) -> None:
        """Answer a request for something else than the page."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def post(self) -> None:
        """Answer what the page sends."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def is_from_here(self) -> bool:
        """Whether this is our page asking; if not, that is the answer."""
        port = self.server.server_port
        host = self.headers["Host"] in (f"127.0.0.1:{port}", f"localhost:{port}")
        if host and (self.command == "GET" or self.headers["Content-Type"] in self.kinds):
            return True
        self.send_error(HTTPStatus.FORBIDDEN)
        return False

    def length(self, most: int) -> int:
        """Bytes of the request's body; `ValueError` beyond `most`."""
        length = int(self.headers["Content-Length"] or 0)
        if not 0 <= length <= most:
            raise ValueError(f"a request of {length} bytes; {most} are the most")
        return length

    def send_json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer with `value`."""
        self.send(json.dumps(value).encode(), "application/json", status)

    def send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer with `body`, not to be kept by the browser."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def picture(frame: Frames) -> str:
    """A frame `(height, width, 3)` as the source of an `<img>`."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "jpeg", quality=QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
