"""Any OpenAI-compatible server: many requests at a time, each of them an answer or an error.

With `media: video` the frames travel as the lossless clip, with what makes vLLM 0.24 take them as
they are: all frames, at their size, at their rate. With `media: images` each frame is a picture,
which every server takes, but which no policy trained on videos has seen. A still image is a picture
either way.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from data_builders.chat import Client, EndpointError, Messages, Written, check_endpoint, read
from orchestrator.evaluation.config import Server
from orchestrator.evaluation.engines import Clip, EngineError, Outcome, Request, Response
from orchestrator.evaluation.engines.options import read_probabilities

if TYPE_CHECKING:
    from openai.types.chat.chat_completion import Choice

ALL_FRAMES = {"video_backend": "opencv", "backend": "pyav", "num_frames": -1, "fps": -1}
"""Keeps vLLM from its loader for Qwen's models, which takes two frames a second
(vllm/multimodal/video.py:665); despite its name this one decodes with PyAV, as we do."""
HINTS = {
    "logprobs": "; if the server refuses log-probabilities: eval.server.top_logprobs=null",
    "video": "; if the server takes no videos: eval.server.media=images shows it the frames",
}
"""How to mend a refusal, by a word of it."""
NONSENSE = (OSError, AttributeError, TypeError, ValueError, LookupError)
"""What comes of no answer, of a clip that can't be read, and of a reply that is none."""
log = logging.getLogger(__name__)


def load(server: Server, max_new_tokens: int) -> ServerEngine:
    """Connect to `server`; `EndpointError` where nothing answers there.

    `max_new_tokens` is in the endpoint already.
    """
    check_endpoint(server.endpoint, "eval.models")
    return ServerEngine(server)


class ServerEngine:
    """Greedy answers of a model that runs elsewhere."""

    def __init__(self, server: Server) -> None:
        self.server, self.client = server, Client(server.endpoint)
        self._thinks = False

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """One outcome a request; raises `EndpointError` where the server is gone."""
        with ThreadPoolExecutor(self.server.endpoint.concurrency) as pool:
            outcomes = list(pool.map(self._one, batch))
        if all(isinstance(outcome, EngineError) for outcome in outcomes):
            check_endpoint(self.server.endpoint, "eval.models")
        return outcomes

    def _one(self, request: Request) -> Outcome:
        try:
            choice, used = self.client.complete(self.messages(request), **self.extra(request))
            text = self._text(read(choice))
            likely = read_probabilities(_told(choice), request.letters, request.tags)
        except EndpointError:
            raise
        except NONSENSE as error:
            return EngineError(f"{error}{_hint(str(error))}")
        return Response(
            text=text,
            tokens=used.completion_tokens,
            prompt_tokens=used.prompt_tokens,
            probabilities=likely,
        )

    def _text(self, written: Written) -> str:
        """What the policy wrote as one text: some servers hand the thinking out apart."""
        text, thinking = written
        if not thinking:
            return text
        if not self._thinks:
            self._thinks = True
            log.warning("%s: its server gives the thinking apart; it is read as <think>", self)
        before = "" if "<think>" in thinking else "<think>"
        return f"{before}{thinking}</think>{text}" if text else f"{before}{thinking}"

    def __str__(self) -> str:
        return f"{self.server.endpoint.model} at {self.server.endpoint.base_url}"

    def messages(self, request: Request) -> Messages:
        """The prompt as the API takes it, in the order of training."""
        return request.messages(
            lambda clip: [_video(clip)] if self._as_video(clip) else _images(clip)
        )

    def _as_video(self, clip: Clip) -> bool:
        return self.server.media == "video" and clip.meta.shown == "video"

    def extra(self, request: Request) -> dict[str, Any]:
        """Log-probabilities of the likeliest tokens, and for clips keys of vLLM's own.

        Those are in its entrypoints/openai/chat_completion/protocol.py:333.
        """
        top = self.server.top_logprobs
        told = {"logprobs": True, "top_logprobs": top} if top and request.letters else {}
        if self.server.media == "images" or not request.clips:
            return told
        videos = [clip.meta.metadata() for clip in request.clips if self._as_video(clip)]
        as_they_are = {"do_sample_frames": False, "do_resize": False}
        named = {"video_metadata": videos} if videos else {}
        return {
            **told,
            "media_io_kwargs": {"video": ALL_FRAMES},
            "mm_processor_kwargs": {**as_they_are, **named},
        }


def _hint(refusal: str) -> str:
    return "".join(hint for word, hint in HINTS.items() if word in refusal)


def _told(choice: Choice) -> list[tuple[str, dict[str, float]]]:
    """Each token that the server wrote, with its likeliest ones; nothing where it tells none."""
    told = choice.logprobs.content if choice.logprobs else None
    return [
        (token.token, {each.token: each.logprob for each in token.top_logprobs})
        for token in told or ()
    ]


def _video(clip: Clip) -> dict[str, Any]:
    mp4 = base64.b64encode(clip.video.read_bytes()).decode()
    return {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{mp4}"}}


def _images(clip: Clip) -> list[dict[str, Any]]:
    return [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_png(frame)}"}}
        for frame in clip.frames
    ]


def _png(frame: Any) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()
