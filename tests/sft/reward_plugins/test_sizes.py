"""An image that only SFT would scale is refused by name before training."""

from pathlib import Path

import pytest
from transformers import Qwen2VLImageProcessor

from data_builders.frames import FrameIndex
from reward_plugins.sizes import SizeError, check
from tests.givens import SPEC, frames_of


@pytest.mark.parametrize("side", [28, 56, 112])
def test_an_image_outside_the_checkpoints_bounds_is_named(side: int, tmp_path: Path) -> None:
    size = {"shortest_edge": 28 * 56, "longest_edge": 84 * 84}
    Qwen2VLImageProcessor(size=size).save_pretrained(tmp_path / "model")
    still = {"spec": SPEC.of("image"), "indices": (0,), "images_sha256": ("",)}
    clips = {"v.mp4": frames_of(), "a.png": frames_of(height=side, width=side, **still)}
    FrameIndex(cache=tmp_path, spec=SPEC, clips=clips).write(tmp_path / "frames.json")
    asked = tmp_path / "frames.json", str(tmp_path / "model")
    if side == 56:
        check(*asked)
        return
    with pytest.raises(SizeError, match=rf"a\.png is shown at {side}x{side} .* 1,568 to 7,056"):
        check(*asked)
