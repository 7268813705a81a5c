"""What a model is, so that no other one inherits its answers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from orchestrator.evaluation.config import EvaluationError, Server

WEIGHTS = {".safetensors", ".bin"}
DECISIVE = WEIGHTS | {".json", ".jinja", ".txt"}
"""Files of a checkpoint that decide what it answers: tokenizer and processor too."""


def identity(checkpoint: Path | Server) -> str:
    """Hash of a checkpoint's files; of a server, where it is and what it says it serves.

    `EvaluationError` where a directory holds no weights.
    """
    return _of_server(checkpoint) if isinstance(checkpoint, Server) else _of_files(checkpoint)


def _of_files(checkpoint: Path) -> str:
    files = sorted(p for p in checkpoint.glob("*") if p.suffix in DECISIVE)
    if not any(path.suffix in WEIGHTS for path in files):
        raise EvaluationError(
            f"no weights in {checkpoint}: run the stage that makes this checkpoint"
        )
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _of_server(server: Server) -> str:
    """A server keeps its weights to itself, but vLLM and SGLang tell which directory they read."""
    spec = server.endpoint
    asked = [server.media, server.top_logprobs, spec.temperature, spec.extra_body]
    parts = [spec.base_url, spec.model, *asked]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
