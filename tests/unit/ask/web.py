"""A web server of this machine."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(ThreadingHTTPServer):
    """Serves `pages`; without `announce` it doesn't say how long an answer is."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes] = {}
        self.announce = True
        self.url = f"http://127.0.0.1:{self.server_port}"
        run = {"poll_interval": 0.01}
        threading.Thread(target=self.serve_forever, kwargs=run, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        body = self.server.pages.get(self.path.partition("?")[0])
        if body is None:
            return self.send_error(404)
        self.send_response(200)
        if self.server.announce:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
