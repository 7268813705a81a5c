"""From a prompt with frames to a response: one small module an engine."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from data_builders.decoding import Frames
from data_builders.frames import FrameIndex, FrameMeta
from data_builders.media import Item
from data_builders.prompt import text_between
from data_builders.sample import Sample
from data_builders.specs import PromptSpec
from orchestrator.evaluation.config import Server
from reward_plugins.errors import CamReasonerError


class EngineError(CamReasonerError, RuntimeError):
    """An engine that could not answer; its question is counted as an error, not as wrong."""


class Clip(NamedTuple):
    """The frames of a video or of an image."""

    frames: Frames
    """`(T, height, width, 3)`, uint8."""
    meta: FrameMeta
    video: Path
    """The same frames as a lossless clip; an image has none."""

    @property
    def parts(self) -> list[dict[str, str]]:
        """What stands for it in a chat: one video, or so many images."""
        count = len(self.frames) if self.meta.shown == "image" else 1
        return [{"type": self.meta.shown}] * count


class Request(NamedTuple):
    """A prompt and what it shows."""

    system: str
    texts: Sequence[str]
    """Of the user's turn: before each clip, and after the last."""
    clips: Sequence[Clip] = ()
    letters: tuple[str, ...] = ()
    """Of the question's options: those whose probability is asked for."""
    tags: tuple[str, ...] = ()
    """Blocks of the format that is asked for."""

    def messages(self, parts: Callable[[Clip], Sequence[Any]] = lambda c: c.parts) -> list[Any]:
        """The chat; `parts` says what stands for a clip."""
        shown = [*map(parts, self.clips), ()]
        content = [
            part
            for text, own in zip(self.texts, shown, strict=True)
            for part in (*([{"type": "text", "text": text}] if text else []), *own)
        ]
        turns = [{"role": "system", "content": self.system}] if self.system else []
        return [*turns, {"role": "user", "content": content}]


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


class Sampling(NamedTuple):
    """How tokens are chosen."""

    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass."""
    seed: int = 0


GREEDY = Sampling()


class Engine(Protocol):
    """Answers a batch greedily, in order."""

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """One outcome a request; raises `EngineError` where the batch as a whole failed."""
        ...


def make_request(
    sample: Sample,
    media: Sequence[Item],
    index: FrameIndex,
    prompt: PromptSpec,
    load: Callable[[FrameIndex, str], tuple[Frames, FrameMeta]] = FrameIndex.load,
) -> Request:
    """`sample` asked about `media`; `FrameCacheError` where their frames can't be read.

    `load` reads them, for those that remember what they have read.
    """
    clips = [Clip(*load(index, item.name), index.video_path(item.name)) for item in media]
    texts = text_between(sample, prompt)
    return Request(prompt.system_of(sample.task), texts, clips, sample.letters, prompt.tags)


def answer_each(engine: Engine, requests: Sequence[Request]) -> list[Outcome]:
    """One outcome a request: a batch that fails as a whole is tried again one by one."""
    try:
        return engine.answer(requests)
    except EngineError as error:
        if len(requests) == 1:
            return [error]
    return [answer_each(engine, [request])[0] for request in requests]


def open_engine(
    name: str, checkpoint: Path | Server, max_new_tokens: int, **settings: Any
) -> Engine:
    """Load a checkpoint into the engine called `name`; for a server, connect with "openai"."""
    module = importlib.import_module(f"orchestrator.evaluation.engines.{name}")
    engine: Engine = module.load(checkpoint, max_new_tokens, **settings)
    return engine
