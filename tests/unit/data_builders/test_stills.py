"""A still image is a clip that shows it twice."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_builders.decoding import ClipError, decode, write_lossless
from data_builders.frames import materialise
from data_builders.specs import FrameSpec

SPEC = FrameSpec(fps=2, min_frames=4, max_frames=8, min_pixels=784, max_pixels=112 * 112)


def slope(height: int, width: int) -> Image.Image:
    """Red grows downwards, green to the right: any turn or mix-up of colours shows."""
    red = np.linspace(0, 255, height)[:, None] * np.ones(width)
    green = np.linspace(0, 255, width)[None, :] * np.ones((height, 1))
    pixels = np.stack([red, green, np.full((height, width), 128)], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.bmp", "x.tiff"])
def test_an_image_is_shown_twice_in_its_own_colours(name: str, tmp_path: Path) -> None:
    image = slope(112, 56)
    image.save(tmp_path / name)
    decoded = decode(tmp_path / name, SPEC)
    assert (decoded.indices, decoded.source_frames) == ((0, 0), 1)
    assert (decoded.source_size, decoded.fps) == ((112, 56), Fraction(2))
    assert decoded.frames.shape == (2, 112, 56, 3)
    assert np.array_equal(decoded.frames[0], decoded.frames[1])
    wrong = np.abs(decoded.frames[0].astype(int) - np.asarray(image).astype(int))
    assert wrong.mean() < 3


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    slope(56, 56).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.mp4")
    write_lossless(tmp_path / "v.mp4", np.zeros((1, 56, 56, 3), np.uint8), Fraction(2))
    (tmp_path / "v.mp4").rename(tmp_path / "v.png")
    assert len(decode(tmp_path / "x.mp4", SPEC).frames) == 2
    with pytest.raises(ClipError, match="holds 1 frame"):
        decode(tmp_path / "v.png", SPEC)


def test_a_turned_photograph_is_read_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    slope(112, 56).save(tmp_path / "x.jpg", exif=exif, quality=95)
    decoded = decode(tmp_path / "x.jpg", SPEC)
    assert decoded.source_size == (56, 112)
    upright = np.rot90(np.asarray(slope(112, 56)), -1)
    assert np.abs(decoded.frames[0].astype(int) - upright.astype(int)).mean() < 3


@pytest.mark.parametrize("sixteenth", range(1, 16))
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tiff"])
def test_half_an_image_is_none(name: str, sixteenth: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * sixteenth // 16])
    with pytest.raises(ClipError):
        decode(tmp_path / name, SPEC)


def test_images_and_clips_share_one_cache(tmp_path: Path) -> None:
    slope(112, 56).save(tmp_path / "x.jpg")
    write_lossless(tmp_path / "v.mp4", np.zeros((8, 56, 56, 3), np.uint8), Fraction(2))
    index = materialise(["x.jpg", "v.mp4"], tmp_path, tmp_path / "cache", SPEC)
    assert [len(index.load(clip)[0]) for clip in ("x.jpg", "v.mp4")] == [2, 8]
    assert index.meta("x.jpg").visual_tokens == 4 * 2
