"""A local OpenAI-compatible server whose teacher and judge say what a test wants."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.local_server import LocalServer, reply

GOOD = "<observation>The far wall drifts right.</observation><think>So it pans left.</think>"


class FakeServer(LocalServer):
    """Answers `/v1/chat/completions` with what `reply` makes of the request's body."""

    def __init__(self, port: int = 0) -> None:
        self.reply: Callable[[dict[str, Any]], Any] = lambda body: written(body)
        self.refusal = "no"
        self.models: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        super().__init__(port)
        self.url += "/v1"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        headers = {"Content-Type": "application/json", "retry-after-ms": "1"}
        if request.command == "GET":  # the list of models; without one, it only shows that it is up
            listed = json.dumps({"object": "list", "data": self.models}).encode()
            return reply(request, 200 if self.models else 501, listed, headers)
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.bodies.append(body)
        answer = self.reply(body)
        if answer == "reset":
            return request.connection.close()
        if answer == "stall":
            time.sleep(1)
        if isinstance(answer, int):
            refusal = json.dumps({"error": {"message": self.refusal}})
            return reply(request, answer, refusal.encode(), headers)
        reply(request, 200, answer if isinstance(answer, bytes) else completion(answer), headers)

    def asked(self) -> list[str]:
        """The ids of the samples asked about, from the questions."""
        return [found[0] for body in self.bodies for found in [_ID.search(text_of(body))] if found]


_ID = re.compile(r"clip \w+")


def completion(
    text: object, logprobs: object = None, finish: str | None = "stop", **more: object
) -> bytes:
    message = {"role": "assistant", "content": text, **more}
    choice = {"index": 0, "finish_reason": finish, "message": message, "logprobs": logprobs}
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
