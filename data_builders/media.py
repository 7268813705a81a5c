"""What a question shows: images and videos, whole or in part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

Kind = Literal["image", "video"]
PLACEHOLDERS: dict[Kind, str] = {"image": "<image>", "video": "<video>"}
"""What all three trainers replace by an item's visual tokens."""
PLACE = re.compile("|".join(PLACEHOLDERS.values()))
IMAGES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


class Item(BaseModel):
    """An image, or a video from `start` to `end` (seconds; None: from its first, to its last)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    path: str
    start: float | None = None
    end: float | None = None

    @model_validator(mode="after")
    def _a_part_of_a_video(self) -> Item:
        start, end = self.start or 0.0, self.end
        if self.kind == "image" and (self.start, self.end) != (None, None):
            raise ValueError(f"image {self.path!r} has a start or an end; only videos have")
        if start < 0 or (end is not None and end <= start):
            raise ValueError(f"video {self.path!r} from {start:g} s to {end} s shows nothing")
        return self

    @property
    def name(self) -> str:
        """The path, with the part of it as a media fragment: `walk.mp4#t=1.5,4`."""
        if self.start is None and self.end is None:
            return self.path
        return f"{self.path}#t={self.start or 0:g}" + (f",{self.end:g}" if self.end else "")


def image(path: str) -> Item:
    """A still image."""
    return Item(kind="image", path=path)


def video(path: str, start: float | None = None, end: float | None = None) -> Item:
    """A video, or its part from `start` to `end`, in seconds."""
    return Item(kind="video", path=path, start=start, end=end)


def whole(path: str) -> Item:
    """The image or video at `path`, by its suffix."""
    return image(path) if PurePosixPath(path).suffix.lower() in IMAGES else video(path)


def names(media: Iterable[Item]) -> str:
    """What is shown, in one line."""
    return " + ".join(item.name for item in media)
