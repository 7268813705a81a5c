"""A text model behind an OpenAI-compatible server, by transformers: for machines without vLLM.

`python -m data_builders.text_server serve <model> --host <name> --port <number>`, as vLLM is
called. It answers greedily, one request at a time: enough to judge a few thousand responses.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class TextModel:
    """A checkpoint directory or a Hub id, on the GPU if there is one."""

    def __init__(self, name: str) -> None:
        self.name, self._lock = name, threading.Lock()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
        self.model = model.to(device).eval()

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to the body of a request for a chat completion."""
        inputs = self.tokenizer.apply_chat_template(
            body["messages"],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            **body.get("chat_template_kwargs", {}),
        ).to(self.model.device)
        with self._lock, torch.inference_mode():
            output = self.model.generate(
                **inputs, do_sample=False, max_new_tokens=body.get("max_tokens", 512)
            )
        prompt = inputs["input_ids"].shape[1]
        text = self.tokenizer.decode(output[0, prompt:], skip_special_tokens=True)
        message = {"role": "assistant", "content": text}
        used = {"prompt_tokens": prompt, "completion_tokens": output.shape[1] - prompt}
        return {
            **_named("chat.completion", self.name),
            "model": self.name,
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {**used, "total_tokens": output.shape[1]},
        }


def make_server(model: TextModel, host: str, port: int) -> ThreadingHTTPServer:
    """Not yet serving; port 0 is any free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"object": "list", "data": [_named("model", model.name)]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                self._send(200, model.complete(json.loads(body)))
            except (ValueError, KeyError, TypeError, RuntimeError) as error:
                self._send(400, {"error": {"message": f"{type(error).__name__}: {error}"}})

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer((host, port), Handler)


def main() -> None:
    """Serve the model named on the command line until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    make_server(TextModel(given.model), given.host, given.port).serve_forever()


def _named(kind: str, name: str) -> dict[str, Any]:
    return {"id": name, "object": kind, "created": int(time.time())}


if __name__ == "__main__":
    main()
