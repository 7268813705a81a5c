"""Rows of verl's parquet whose frames the data stage has already materialised."""

import asyncio
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
    """verl's dataset, reading `videos=[{"frames": <frames.npy>, "fps": <effective>, ...}]`, or
    `images=[{"image": <PNG>}, ...]`.

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

    Raises:
        FramesError: the item has no frames, no frame rate, or its file is missing or ill-shaped.
    """
    path, fps = item.get("frames"), item.get("fps")
    if not path or not fps or fps <= 0:
        raise FramesError(f"video item needs 'frames' (a frames.npy) and 'fps' > 0, has {item!r}")
    if not Path(path).is_file():
        raise FramesError(f"no frames at {path}: run the data stage again")
    frames = np.load(path)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise FramesError(f"{path}: want uint8 (T, H, W, 3), found {frames.dtype} {frames.shape}")
    count = len(frames)
    metadata = {
        "fps": float(fps),
        "total_num_frames": count,
        "frames_indices": list(range(count)),
        "duration": count / float(fps),
    }
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous(), metadata


def _items(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []
