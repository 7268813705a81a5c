"""What turns a question about frames into a response: one small module an engine."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from data_builders.decoding import Frames
from data_builders.frames import FrameMeta
from reward_plugins.errors import CamReasonerError


class EngineError(CamReasonerError, RuntimeError):
    """An engine that could not answer; its question is counted as an error, not as wrong."""


class Request(NamedTuple):
    """A prompt and the frames it is about."""

    system: str
    text: str
    frames: Frames
    """`(T, height, width, 3)`, uint8."""
    meta: FrameMeta


class Response(NamedTuple):
    """What the policy wrote."""

    text: str
    tokens: int


class Engine(Protocol):
    """Answers a batch greedily, in order; raises `EngineError` for the batch as a whole."""

    def answer(self, batch: Sequence[Request]) -> list[Response]:
        """One response a request."""
        ...


def open_engine(name: str, checkpoint: Path, max_new_tokens: int) -> Engine:
    """Load `checkpoint` into the engine called `name`."""
    module = importlib.import_module(f"orchestrator.evaluation.engines.{name}")
    engine: Engine = module.load(checkpoint, max_new_tokens)
    return engine
