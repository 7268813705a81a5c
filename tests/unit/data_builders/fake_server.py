"""A local OpenAI-compatible server whose teacher and judge say what a test wants."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = "<observation>The far wall drifts right.</observation><think>So it pans left.</think>"


class FakeServer:
    """Answers `/v1/chat/completions` with what `reply` makes of the request's body."""

    def __init__(self, port: int = 0) -> None:
        self.reply: Callable[[dict[str, Any]], Any] = lambda body: written(body)
        self.bodies: list[dict[str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.bodies.append(body)
                answer = fake.reply(body)
                if isinstance(answer, int):
                    return fake.send(self, answer, b'{"error": {"message": "no"}}')
                if answer == "reset":
                    return self.connection.close()
                if answer == "stall":
                    time.sleep(1)
                fake.send(self, 200, answer if isinstance(answer, bytes) else completion(answer))

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        poll = {"poll_interval": 0.01}
        threading.Thread(target=self.server.serve_forever, kwargs=poll, daemon=True).start()

    @staticmethod
    def send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("retry-after-ms", "1")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def asked(self) -> list[str]:
        """The ids of the samples asked about, from the questions."""
        return [found[0] for body in self.bodies for found in [_ID.search(text_of(body))] if found]


_ID = re.compile(r"clip \w+")


def completion(text: str | None) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 0, "model": "m",
         "choices": [choice], "usage": usage}
    ).encode()  # fmt: skip


def text_of(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else str(content[-1]["text"])


def truth_of(body: dict[str, Any]) -> str:
    found = re.search(r"The answer is ([A-Z])\.", text_of(body))
    assert found
    return found[1]


def written(body: dict[str, Any]) -> str:
    """A good trajectory, or a judge's verdict for the pan that it argues for."""
    if body["model"] == "judge":
        options = re.findall(r"^([A-Z])\. (.+)$", text_of(body), re.MULTILINE)
        return next(letter for letter, text in options if "pans left" in text)
    return f"{GOOD}<answer>{truth_of(body)}</answer>"
