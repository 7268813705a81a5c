"""Verbs that ask a checkpoint about clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from orchestrator.console import Console
from orchestrator.verbs.arguments import Arguments, Flag, Several, parse


class _AskArguments(Arguments):
    model: str | None = None
    """a run, <run>/<policy>, a checkpoint's directory, a Hub id, or a server's address (the policy
    trained last)"""
    recipe: str | None = None
    """whose prompt and frames to use with what no run here trained"""
    engine: Literal["hf", "vllm"] = "hf"
    """hf or vllm (hf)"""


class PredictArguments(_AskArguments):
    """Keys of `predict`."""

    bare: ClassVar = ("clip", "question")
    clip: str
    """a video file, a folder of them, or an http(s) address"""
    question: str | None = None
    """left out: every motion primitive, as a motion card"""
    options: Annotated[tuple[str, ...], Several] = ()
    """to choose from: options=left,right or options='["a, b", c]' (Yes,No)"""
    as_json: Flag = Field(False, alias="json")
    """json=true prints one JSON object a clip"""
    out: Path | None = None
    """Parquet for the answers (a folder's: predictions.parquet)"""


class ServeArguments(_AskArguments):
    """Keys of `serve`."""

    port: int = Field(8322, ge=0, lt=65536)
    """where the page is served; 0 is any free one (8322)"""


def predict(words: Sequence[str], console: Console) -> None:
    """Ask a checkpoint about a clip, or about every clip of a folder."""
    from orchestrator.ask.predict import predict as run

    run(parse("predict", PredictArguments, words), console)


def serve(words: Sequence[str], console: Console) -> None:
    """Ask checkpoints about clips on a local page."""
    from orchestrator.ask.serve import serve as run

    run(parse("serve", ServeArguments, words), console)
