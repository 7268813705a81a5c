"""Rows of verl's parquet whose frames the data stage has already materialised."""

import asyncio
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from verl.utils.dataset.rl_dataset import RLHFDataset

from reward_plugins.errors import CamReasonerError

Video = tuple[torch.Tensor, dict[str, Any]]
Media = tuple[list[Image.Image] | None, list[Video] | None, None]
"""Images, videos, and no sound."""


class FramesError(CamReasonerError, ValueError):
    """A video or image item that does not lead to frames."""


class FramesDataset(RLHFDataset):
    """verl's dataset, reading `videos=[{"frames": <frames.rgb>, "shape": [T, H, W, 3], "fps":
    <effective>, ...}]`, or `images=[{"image": <PNG>}, ...]`.

    Nothing is decoded, sampled or resized here: the frames are those of SFT and of evaluation.
    """

    @classmethod
    async def process_multi_modal_info(
        cls, messages: list[dict[str, Any]], image_patch_size: int, config: Any
    ) -> Media:
        """What `messages` show, read off the event loop's thread."""
        return await asyncio.to_thread(
            cls._process_multi_modal_info, messages, image_patch_size, config
        )

    @classmethod
    def _process_multi_modal_info(
        cls, messages: list[dict[str, Any]], image_patch_size: int, config: Any
    ) -> Media:
        items = [item for message in messages for item in _items(message)]
        images = [read_image(item) for item in items if item["type"] == "image"]
        videos = [read_video(item) for item in items if item["type"] == "video"]
        return images or None, videos or None, None


def read_image(item: dict[str, Any]) -> Image.Image:
    """One frame at its own size; `FramesError` where it is missing."""
    path = item.get("image")
    if not path or not Path(path).is_file():
        raise FramesError(f"no frame at {path}: run the data stage again")
    with Image.open(path) as image:
        return image.convert("RGB")


def read_video(item: dict[str, Any]) -> Video:
    """Frames as uint8 (T, 3, H, W) and the metadata that keeps the processor from sampling them.

    Bytes alone are read, for this runs in threads: `np.load` parses a header with `ast`, which in
    CPython 3.11 raises `SystemError` where another thread collects garbage meanwhile.

    Raises:
        FramesError: the item has no frames, shape or frame rate, or its file is not of that shape.
    """
    path, shape, fps = (item.get(key) for key in ("frames", "shape", "fps"))
    if not path or not shape or not fps or fps <= 0:
        raise FramesError(
            f"video item needs 'frames' (a frames.rgb), 'shape' and 'fps' > 0, has {item!r}"
        )
    if not Path(path).is_file():
        raise FramesError(f"no frames at {path}: run the data stage again")
    frames = np.fromfile(path, dtype=np.uint8)
    if frames.size != math.prod(shape):
        raise FramesError(f"{path} holds {frames.size} bytes, not those of {tuple(shape)}")
    count = int(shape[0])
    metadata = {
        "fps": float(fps),
        "total_num_frames": count,
        "frames_indices": list(range(count)),
        "duration": count / float(fps),
        "video_backend": str(path),  # tells it apart in vLLM's cache (`FrameMeta.metadata`)
    }
    pixels = torch.from_numpy(frames).reshape(*shape).permute(0, 3, 1, 2).contiguous()
    return pixels, metadata


def _items(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []
