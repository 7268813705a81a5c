"""A web server of this machine."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from tests.local_server import LocalServer


class Web(LocalServer):
    """Serves `pages`; without `announce` it doesn't say how long an answer is."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.announce = True
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = self.pages.get(request.path.partition("?")[0])
        if body is None:
            return request.send_error(404)
        request.send_response(200)
        if self.announce:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
