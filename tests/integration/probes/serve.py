"""A checkpoint behind an OpenAI-compatible server: `serve.py <checkpoint> <word>`.

By plain transformers, but for the engines' numbering and for visual tokens, which are never
written. Takes clips as vLLM does, with `mm_processor_kwargs`, and pictures. While the file `<word>`
exists, requests with its text fail.
"""

import base64
import io
import json
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from data_builders.decoding import read_all
from reward_plugins import positions
from tests.local_server import LocalServer, reply


class Model:
    """Greedy chat completions, one at a time."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint, self.lock = checkpoint, threading.Lock()
        positions.install()  # as every engine here numbers a prompt
        self.processor = AutoProcessor.from_pretrained(checkpoint)
        self.model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
        visual = [self.processor.video_token, self.processor.image_token]
        self.never = self.processor.tokenizer.convert_tokens_to_ids(visual)

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request's body."""
        with self.lock, torch.inference_mode():
            inputs = self.inputs(body)
            output = self.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=body["max_tokens"],
                suppress_tokens=self.never,
                output_logits=True,
                return_dict_in_generate=True,
            )
        prompt = inputs["input_ids"].shape[1]
        tokens = output.sequences[0, prompt:].tolist()
        text = self.processor.tokenizer.decode(tokens, skip_special_tokens=True)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant"}}
        choice["message"]["content"] = text
        if body.get("logprobs"):
            content = [
                self.told(token, logits[0], body["top_logprobs"])
                for token, logits in zip(tokens, output.logits, strict=True)
            ]
            choice["logprobs"] = {"content": content}
        used = {"prompt_tokens": prompt, "completion_tokens": len(tokens)}
        used["total_tokens"] = sum(used.values())
        named = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        return {**named, "choices": [choice], "usage": used}

    def inputs(self, body: dict[str, Any]) -> Any:
        """What the processor makes of the messages and their media."""
        media: dict[str, list[Any]] = {"videos": [], "images": []}
        turns = [{**turn, "content": _content(turn, media)} for turn in body["messages"]]
        text = self.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        given = {kind: found for kind, found in media.items() if found}
        own = body["mm_processor_kwargs"] if media["videos"] else {"do_resize": False}
        return self.processor(text=[text], return_tensors="pt", **given, **own)

    def told(self, token: int, logits: torch.Tensor, count: int) -> dict[str, Any]:
        """A token with the likeliest ones in its place."""
        logs = logits.float().log_softmax(dim=-1)
        named = [
            {"token": self.processor.tokenizer.decode([each]), "logprob": float(logs[each])}
            for each in (token, *logs.topk(min(count, len(logs))).indices.tolist())
        ]
        return {**named[0], "top_logprobs": named[1:]}


def _content(turn: dict[str, Any], media: dict[str, list[Any]]) -> list[dict[str, Any]]:
    if isinstance(turn["content"], str):
        return [{"type": "text", "text": turn["content"]}]
    return [_part(part, media) for part in turn["content"]]


def _part(part: dict[str, Any], media: dict[str, list[Any]]) -> dict[str, Any]:
    if part["type"] == "text":
        return part
    kind = part["type"].removesuffix("_url")
    data = base64.b64decode(part[f"{kind}_url"]["url"].partition(",")[2])
    if kind == "image":
        media["images"].append(Image.open(io.BytesIO(data)))
    else:
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            file.write(data)
            file.flush()
            media["videos"].append(torch.from_numpy(read_all(Path(file.name))).permute(0, 3, 1, 2))
    return {"type": kind}


class Server(LocalServer):
    """One model, under the name `tiny`."""

    def __init__(self, checkpoint: Path, refused: Path) -> None:
        self.model, self.refused = Model(checkpoint), refused
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if request.command == "GET":
            named = {"id": "tiny", "object": "model", "created": int(time.time())}
            entry = {**named, "root": str(self.model.checkpoint), "owned_by": "test"}
            said: dict[str, Any] = {"object": "list", "data": [entry]}
        else:
            body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
            if self.refused.exists() and self.refused.read_text() in str(body["messages"]):
                return reply(request, 500)
            said = self.model.complete(body)
        reply(request, 200, json.dumps(said).encode(), {"Content-Type": "application/json"})


if __name__ == "__main__":
    with Server(*map(Path, sys.argv[1:])) as server:
        print(f"{server.url}/v1", flush=True)
        sys.stdin.read()  # until the test closes it
