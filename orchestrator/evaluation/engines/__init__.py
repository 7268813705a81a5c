"""From a prompt with frames to a response: one small module an engine."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from data_builders.decoding import Frames
from data_builders.frames import FrameIndex, FrameMeta
from data_builders.prompt import user_text
from data_builders.sample import Sample
from data_builders.specs import PromptSpec
from orchestrator.evaluation.config import Server
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
    video: Path
    """The same frames as a lossless clip."""
    letters: tuple[str, ...] = ()
    """Of the question's options: those whose probability is asked for."""
    tags: tuple[str, ...] = ()
    """Blocks of the format that is asked for."""

    def placeholders(self) -> list[dict[str, str]]:
        """What stands for the frames in a chat: one video, or as many images."""
        images = self.meta.spec.media == "images"
        return [{"type": "image"}] * len(self.frames) if images else [{"type": "video"}]


class Response(NamedTuple):
    """What the policy wrote."""

    text: str
    tokens: int
    """The end of the turn included."""
    prompt_tokens: int = 0
    """0 where the engine does not tell."""
    probabilities: list[float] | None = None
    """Of each option's letter where the answer is given (`engines.options`); None where none is,
    or where the engine does not tell."""


Outcome = Response | EngineError


class Engine(Protocol):
    """Answers a batch greedily, in order."""

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """One outcome a request; raises `EngineError` where the batch as a whole failed."""
        ...


def make_request(
    sample: Sample,
    clip: str,
    index: FrameIndex,
    prompt: PromptSpec,
    load: Callable[[FrameIndex, str], tuple[Frames, FrameMeta]] = FrameIndex.load,
) -> Request:
    """`sample` asked about `clip`; `FrameCacheError` where its frames can't be read.

    `load` reads them, for those that remember what they have read.
    """
    frames, meta = load(index, clip)
    text, video = user_text(sample, prompt), index.video_path(clip)
    return Request(prompt.system, text, frames, meta, video, sample.letters, prompt.tags)


def open_engine(name: str, checkpoint: Path | Server, max_new_tokens: int) -> Engine:
    """Load a checkpoint into the engine called `name`; for a server, connect with "openai"."""
    module = importlib.import_module(f"orchestrator.evaluation.engines.{name}")
    engine: Engine = module.load(checkpoint, max_new_tokens)
    return engine
