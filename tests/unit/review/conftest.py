"""What the tests of the review share: trajectories on real clips, and a running server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from data_builders.decoding import write_lossless
from data_builders.media import video
from data_builders.sample import Sample
from data_builders.specs import FrameSpec
from orchestrator.review.queue import Queue
from orchestrator.review.server import ReviewServer

FRAMES = FrameSpec(fps=4.0, min_frames=2, max_frames=4, min_pixels=784, max_pixels=6400)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 56, 56, 3), dtype=np.uint8)
    write_lossless(tmp_path / "clip.mp4", pixels, Fraction(4))
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    return [
        Sample(
            id=f"s{n}", dataset="d", split="train", task="multiple_choice", category="pan_left",
            media=(video("bad.mp4" if n == 3 else "clip.mp4"),), question=f"Question <b>{n}</b>?",
            options=("pan left", "pan right"), answer="A", observation="It slides.",
            think="So it pans.",
        )
        for n in range(4)
    ]  # fmt: skip


@pytest.fixture
def server(samples: list[Sample], tmp_path: Path) -> Iterator[ReviewServer]:
    with ReviewServer(Queue(samples, tmp_path, FRAMES), tmp_path / "review", 0) as running:
        threading.Thread(
            target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        yield running
        running.shutdown()
