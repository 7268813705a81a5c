"""One question's way through teacher, filters and judge."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from data_builders.chat import Chat, ChatError, Messages
from data_builders.frames import FrameIndex
from data_builders.ledger import Ledger, Reply
from data_builders.media import Item
from data_builders.prompt import user_text
from data_builders.sample import Sample
from data_builders.specs import PromptSpec
from data_builders.trajectory_filters import Rejection, judged, refuse
from data_builders.trajectory_specs import EndpointSpec
from reward_plugins import ota

_TEACHER = """\
These are {shown}.

{question}

The answer is {answer}. {answer_text}

Write how a careful viewer who does not know this answer would find it, as
<observation>what changes from frame to frame: positions, sizes and edges of things, parallax, \
and what holds still</observation>
<think>what these changes say about the camera, and why the other options do not fit</think>
<answer>{answer}</answer>

Name only what the frames show. Nothing may reveal that you were given the answer."""

_JUDGE = """\
Someone watched a video and reasoned about this question:

{question}

Observation: {observation}

Reasoning: {think}

To which option does this reasoning lead, taken at its word? It may be wrong about the video; do \
not correct it. Reply with that option's letter alone, or with NONE if it leads to no option, \
contradicts itself or contradicts the observation."""


class Clips(Protocol):
    """Where the frames that the teacher sees come from."""

    def key(self, clip: str) -> str: ...  # a hash of the frames' content
    def fps(self, clip: str) -> float: ...  # frames a second, effective
    def jpegs(self, clip: str) -> list[bytes]: ...


class CachedClips:
    """Frames from the frame cache, as JPEG files of high quality."""

    def __init__(self, index: FrameIndex) -> None:
        self._index = index

    def key(self, clip: str) -> str:
        return self._index.meta(clip).frames_sha256

    def fps(self, clip: str) -> float:
        return self._index.meta(clip).fps

    def jpegs(self, clip: str) -> list[bytes]:
        frames, _ = self._index.load(clip)
        return [_jpeg(frame) for frame in frames]


def _jpeg(frame: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "jpeg", quality=95)
    return file.getvalue()


class Outcome(NamedTuple):
    """What came of one question; `rejection` is None for a trajectory that may teach."""

    sample: Sample
    text: str
    rejection: Rejection | None
    replies: tuple[tuple[EndpointSpec, Reply], ...]

    def trajectory(self) -> Sample:
        """The sample with the observation and thinking that were written for it."""
        trace = _parsed(self.sample, self.text)
        written = {**self.sample.provenance, "written_by": self.replies[0][0].model}
        found = {"observation": trace.observation, "think": trace.think, "provenance": written}
        return self.sample.model_copy(update=found)


class Writer:
    """Teacher, filters and judge for one question at a time, called by many threads."""

    def __init__(
        self, clips: Clips, teacher: EndpointSpec, judge: EndpointSpec | None, ledger: Ledger
    ) -> None:
        self._clips = clips
        self._teacher = Chat(teacher, ledger)
        self._judge = None if judge is None else Chat(judge, ledger)

    def __call__(self, sample: Sample) -> Outcome:
        """Ask the teacher and, if its text passes the filters, the judge."""
        text, replies = "", []
        try:
            reply = self._teacher.ask(*self._teacher_request(sample))
            text = reply.text
            replies.append((self._teacher.spec, reply))
            rejection = refuse(sample, text)
            if rejection is None and self._judge is not None:
                verdict = self._judge.ask(*_judge_request(sample, text))
                replies.append((self._judge.spec, verdict))
                rejection = judged(sample, verdict.text)
        except ChatError as error:
            rejection = Rejection("request", str(error))
        return Outcome(sample, text, rejection, tuple(replies))

    def _teacher_request(self, sample: Sample) -> tuple[str, Callable[[], Messages]]:
        asked = _TEACHER.format(
            shown="; then ".join(map(self._shown, sample.media)),
            question=user_text(sample, PromptSpec()),
            answer=sample.truth,
            answer_text=sample.answer_text,
        )
        keys = [self._clips.key(item.name) for item in sample.media]
        return json.dumps([*keys, asked]), lambda: _with_frames(self._jpegs(sample), asked)

    def _shown(self, item: Item) -> str:
        if item.kind == "image":
            return "an image"
        return f"frames of one video, in order, {self._clips.fps(item.name):g} a second"

    def _jpegs(self, sample: Sample) -> list[bytes]:
        return [jpeg for item in sample.media for jpeg in self._clips.jpegs(item.name)]


def _with_frames(jpegs: list[bytes], text: str) -> Messages:
    urls = [f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" for jpeg in jpegs]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


def _judge_request(sample: Sample, text: str) -> tuple[str, Callable[[], Messages]]:
    trace = _parsed(sample, text)
    question = user_text(sample, PromptSpec())
    asked = _JUDGE.format(question=question, observation=trace.observation, think=trace.think)
    return asked, lambda: [{"role": "user", "content": asked}]


def _parsed(sample: Sample, text: str) -> ota.Trace:
    trace = ota.parse(text)
    if trace is None:
        raise ValueError(f"sample {sample.id!r}: its trajectory isn't well-formed")
    return trace
