"""The frames of a clip side by side in one picture, as the checkpoints saw them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_builders.decoding import Frames
from data_builders.frames import FrameIndex

log = logging.getLogger(__name__)

MOST_FRAMES = 8
"""Frames shown of a clip; of more, evenly spaced ones."""
HEIGHT = 112
"""Pixels: taller frames are scaled down, smaller ones up by a whole number."""
GAP = 3
"""Pixels between frames."""


class Strip(NamedTuple):
    """A picture of a clip's frames."""

    file: str
    width: int
    height: int
    caption: str


def draw_strips(index: FrameIndex, clips: Iterable[str], out: Path) -> dict[str, Strip]:
    """Draw the clips' frames into `out` as JPEG, and return the pictures by clip.

    A clip whose frames are no longer in the cache has none; how many is logged.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = sorted(set(clips))
    with ThreadPoolExecutor() as pool:
        drawn = list(pool.map(lambda clip: _draw(index, clip, out), wanted))
    found = {clip: strip for clip, strip in zip(wanted, drawn, strict=True) if strip is not None}
    if len(found) < len(wanted):
        log.warning("%d clips' frames are not in the cache", len(wanted) - len(found))
    return found


def _draw(index: FrameIndex, clip: str, out: Path) -> Strip | None:
    meta = index.meta(clip)
    try:
        frames: Frames = np.memmap(index.frames_path(clip), np.uint8, "r", shape=meta.shape)
    except FileNotFoundError:
        return None
    places = np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int)
    picture = _side_by_side([_resize(frames[place]) for place in places])
    file = f"{meta.key}.jpg"
    picture.save(out / file, quality=80)
    caption = (
        f"{len(frames)} frames at {meta.fps:.3g} fps, {meta.width}x{meta.height} px, "
        f"{meta.visual_tokens} visual tokens"
    )
    return Strip(file, *picture.size, caption)


def _resize(frame: Frames) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(frame))
    width, height = picture.size
    if height > HEIGHT:
        return picture.resize((max(1, round(width * HEIGHT / height)), HEIGHT))
    times = -(-HEIGHT // height)
    return picture.resize((width * times, height * times), Image.Resampling.NEAREST)


def _side_by_side(pictures: list[Image.Image]) -> Image.Image:
    width, height = pictures[0].size
    strip = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "white")
    for place, picture in enumerate(pictures):
        strip.paste(picture, (place * (width + GAP), 0))
    return strip
