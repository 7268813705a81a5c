"""A web server of this machine, for tests to say what it answers."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalServer(ThreadingHTTPServer):
    """Serves from a thread until it is closed; a test's own servers define `answer`."""

    protocol = "HTTP/1.0"

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        run = {"poll_interval": 0.01}
        threading.Thread(target=self.serve_forever, kwargs=run, daemon=True).start()

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request of any method."""
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer

    def setup(self) -> None:
        self.protocol_version = self.server.protocol
        super().setup()

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.server.answer(self)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815  # names that the standard library asks for


def reply(
    request: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> None:
    """Send a whole answer; `headers` may say another length than the body's."""
    request.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)
