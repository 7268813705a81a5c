"""Images that a trainer would show at another size than the other stages do."""

import json
from pathlib import Path

from reward_plugins.errors import CamReasonerError


class SizeError(CamReasonerError, ValueError):
    """An image that the checkpoint's own processor would scale."""


def check(index: Path, checkpoint: str) -> None:
    """Raise `SizeError` for an image of the frame index that is not within the checkpoint's bounds.

    LLaMA-Factory (0.9.5, data/mm_plugin.py:379) and EasyR1 (verl/utils/dataset.py) leave sizes to
    the checkpoint's processor, which the other stages tell not to scale.
    """
    clips = json.loads(index.read_text())["clips"] if index.is_file() else {}
    images = {name: clip for name, clip in clips.items() if clip["spec"]["media"] == "images"}
    if not images:
        return
    from transformers import AutoImageProcessor  # not every process that may ask can

    size = AutoImageProcessor.from_pretrained(checkpoint).size
    least, most = size["shortest_edge"], size["longest_edge"]
    for name, image in images.items():
        if not least <= image["height"] * image["width"] <= most:
            raise SizeError(
                f"{name} is shown at {image['width']}x{image['height']} pixels, but {checkpoint} "
                f"takes {least:,} to {most:,} and would scale it here alone: set the frames' "
                "image_min_pixels and image_max_pixels within these (min_pixels and max_pixels "
                "where clips are shown as images)"
            )
