"""Which trajectories are reviewed, and what a reviewer is shown of each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_builders.decoding import decode
from data_builders.frame_rule import ClipError
from data_builders.media import Item, names
from data_builders.mixing import rank
from data_builders.sample import Sample
from data_builders.specs import FrameSpec
from orchestrator.ask.page import picture
from orchestrator.review.decisions import trace_digest


def draw(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """`count` of the samples that have a trace, drawn by a hash of `seed` and id.

    Everyone who reviews gets the same ones in the same order, which makes agreement measurable;
    to ask for more later keeps those that were drawn.
    """
    traced = [sample for sample in samples if sample.think is not None]
    return sorted(traced, key=lambda s: rank(s.id, seed))[:count]


class Queue:
    """The drawn samples as the page wants them."""

    def __init__(self, samples: Sequence[Sample], root: Path, frames: FrameSpec) -> None:
        self.samples, self._root, self._spec = samples, root, frames
        self._clip = functools.lru_cache(maxsize=16)(self._frames)

    def item(self, number: int) -> dict[str, Any]:
        """Everything about sample `number`; IndexError for one that isn't there."""
        if number < 0:
            raise IndexError(number)
        sample = self.samples[number]
        kept = sample.model_dump(exclude={"task", "provenance", "split", "media", "facts"})
        shown = [self._clip(item) for item in sample.media]
        return {
            **kept,
            "clip": names(sample.media),
            "trace": trace_digest(sample),
            "frames": [frame for own in shown for frame in own["frames"]],
            "fps": shown[0]["fps"] if shown else 1.0,
            "problem": next((own["problem"] for own in shown if own["problem"]), None),
        }

    def _frames(self, item: Item) -> dict[str, Any]:
        """The frames that the model is trained on, at the speed they were taken."""
        try:
            decoded = decode(self._root, item, self._spec)
        except ClipError as error:
            return {"frames": [], "fps": 1.0, "problem": str(error)}
        pictures = [picture(frame) for frame in decoded.frames]
        return {"frames": pictures, "fps": float(decoded.fps), "problem": None}
