"""A few clips: the frames as the model saw them, and what each checkpoint made of them."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from typing import NamedTuple

import av
import numpy as np

from data_builders.decoding import Frames
from data_builders.frames import FrameIndex
from data_builders.sample import Sample
from orchestrator.evaluation.scoring import Scored
from reward_plugins.ota import parse

MOST_FRAMES = 8
"""Frames shown of a clip; of more, evenly spaced ones."""
HIGHEST = 160
"""Pixels; taller frames are scaled down, so that the page stays small."""


class Answer(NamedTuple):
    """One checkpoint's answer."""

    checkpoint: str
    correct: bool
    letter: str | None
    blocks: dict[str, str] | None
    """The text of each block; None where the response is ill-formed."""
    response: str


class Example(NamedTuple):
    """A question with its frames and everyone's answer."""

    sample: Sample
    frames: list[str]
    """PNG pictures as data addresses."""
    caption: str
    answers: list[Answer]
    changed: bool
    """Some checkpoint is right and another wrong."""
    verdicts: str
    """One sign a checkpoint."""


def choose(
    answers: dict[str, Scored], index: FrameIndex, tags: tuple[str, ...], most: int
) -> list[Example]:
    """At most `most` questions that every checkpoint answered.

    They take turns over the patterns of verdicts (wrong then right, right throughout, ...) and,
    within a pattern, over categories.
    """
    by_pattern: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    places = {name: _places(scored) for name, scored in answers.items()}
    for sample_id in _common(places):
        pattern = "".join("✓" if answers[n].correct[places[n][sample_id]] else "✗" for n in answers)
        first = next(iter(answers))
        category = answers[first].samples[places[first][sample_id]].category
        by_pattern[pattern][category].append(sample_id)
    # What training changed comes first, and among that what the last checkpoint gets right.
    patterns = sorted(by_pattern, key=lambda pattern: (len(set(pattern)) == 1, pattern[::-1]))
    queues = [_take_turns(list(by_pattern[pattern].values())) for pattern in patterns]
    chosen = _take_turns(queues)[:most]
    return [_example(sample_id, answers, places, index, tags) for sample_id in chosen]


def _places(scored: Scored) -> dict[str, int]:
    return {sample.id: place for place, sample in enumerate(scored.samples)}


def _common(places: dict[str, dict[str, int]]) -> list[str]:
    first, *others = places.values()
    return [sample_id for sample_id in first if all(sample_id in other for other in others)]


def _take_turns(queues: list[list[str]]) -> list[str]:
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def _example(
    sample_id: str,
    answers: dict[str, Scored],
    places: dict[str, dict[str, int]],
    index: FrameIndex,
    tags: tuple[str, ...],
) -> Example:
    given = [
        _answer(name, scored, places[name][sample_id], tags) for name, scored in answers.items()
    ]
    first = next(iter(answers))
    sample = answers[first].samples[places[first][sample_id]]
    frames, meta = index.load(sample.clip)
    return Example(
        sample=sample,
        frames=[data_address(frame) for frame in _shown(frames)],
        caption=f"{len(frames)} frames at {meta.fps:.3g} fps, {meta.width}x{meta.height} px, "
        f"{meta.visual_tokens} visual tokens",
        answers=given,
        changed=len({answer.correct for answer in given}) > 1,
        verdicts="".join("✓" if answer.correct else "✗" for answer in given),
    )


def _answer(name: str, scored: Scored, place: int, tags: tuple[str, ...]) -> Answer:
    response = scored.predictions[place].response or ""
    trace = parse(response, tags)
    return Answer(
        checkpoint=name,
        correct=bool(scored.correct[place]),
        letter=scored.letters[place],
        blocks=None if trace is None else dict(trace.blocks),
        response=response,
    )


def _shown(frames: Frames) -> Frames:
    places = np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int)
    shown: Frames = frames[places]
    return shown


def data_address(frame: Frames) -> str:
    """A picture `(height, width, 3)` as a `data:` address holding a PNG."""
    height, width = frame.shape[:2]
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    if height > HIGHEST:
        width, height = round(width * HIGHEST / height), HIGHEST
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = height, width, "rgb24"
        container.mux(stream.encode(picture.reformat(width=width, height=height)))
        container.mux(stream.encode())
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
