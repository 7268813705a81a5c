"""What a model is, so that no other one inherits its answers."""

from __future__ import annotations

import hashlib
from pathlib import Path

from orchestrator.evaluation.config import EvalConfig, EvaluationError, Imported, Server
from orchestrator.evaluation.served import read_told, served_identity

WEIGHTS = {".safetensors", ".bin"}
DECISIVE = WEIGHTS | {".json", ".jinja", ".txt"}
"""Files of a checkpoint that decide what it answers: tokenizer and processor too."""


def identity(config: EvalConfig, name: str) -> str:
    """Hash of a checkpoint's files, or of what is known of a served model and of how it is asked.

    `EvaluationError` where a directory holds no weights.
    """
    checkpoint = config.checkpoints[name]
    if isinstance(checkpoint, Server):
        return served_identity(checkpoint, read_told(config)[name])
    if isinstance(checkpoint, Imported):
        raise EvaluationError(f"{name}: a file of answers is no model that could be asked")
    return _of_files(checkpoint)


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
