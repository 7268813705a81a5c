"""A still image is one picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_builders.decoding import decode, write_lossless
from data_builders.frame_rule import ClipError
from data_builders.frames import QuarantineError, materialise
from data_builders.media import image, video, whole
from data_builders.sample import shown_by
from data_builders.specs import FrameSpec
from tests.givens import question

SPEC = FrameSpec(fps=2, min_frames=4, max_frames=8, min_pixels=784, max_pixels=112 * 112)


def slope(height: int, width: int) -> Image.Image:
    """Red grows downwards, green to the right: any turn or mix-up of colours shows."""
    red = np.linspace(0, 255, height)[:, None] * np.ones(width)
    green = np.linspace(0, 255, width)[None, :] * np.ones((height, 1))
    pixels = np.stack([red, green, np.full((height, width), 128)], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.bmp", "x.tiff"])
def test_an_image_is_one_picture_in_its_own_colours(name: str, tmp_path: Path) -> None:
    picture = slope(112, 56)
    picture.save(tmp_path / name)
    decoded = decode(tmp_path, whole(name), SPEC)
    assert (decoded.indices, decoded.source_frames) == ((0,), 1)
    assert decoded.source_size == (112, 56)
    assert decoded.frames.shape == (1, 112, 56, 3)
    wrong = np.abs(decoded.frames[0].astype(int) - np.asarray(picture).astype(int))
    assert wrong.mean() < 3


def test_what_a_file_holds_must_be_what_it_is_given_as(tmp_path: Path) -> None:
    slope(56, 56).save(tmp_path / "x.png")
    write_lossless(tmp_path / "v.mp4", np.zeros((8, 56, 56, 3), np.uint8), Fraction(2))
    with pytest.raises(ClipError, match="is given as a video and is a still image"):
        decode(tmp_path, video("x.png"), SPEC)
    with pytest.raises(ClipError, match="is given as a still image and is a video"):
        decode(tmp_path, image("v.mp4"), SPEC)


def test_a_turned_photograph_is_read_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    slope(112, 56).save(tmp_path / "x.jpg", exif=exif, quality=95)
    decoded = decode(tmp_path, whole("x.jpg"), SPEC)
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
        decode(tmp_path, whole(name), SPEC)


def test_images_and_clips_share_one_cache_each_at_its_own_size(tmp_path: Path) -> None:
    slope(112, 56).save(tmp_path / "x.jpg")
    write_lossless(tmp_path / "v.mp4", np.zeros((8, 56, 56, 3), np.uint8), Fraction(2))
    index = materialise(["x.jpg", "v.mp4"], tmp_path, tmp_path / "cache", SPEC)
    assert [len(index.load(clip)[0]) for clip in ("x.jpg", "v.mp4")] == [1, 8]
    assert index.meta("x.jpg").visual_tokens == 4 * 2
    assert [shown.kind for shown in map(index.shown, map(whole, index.clips))] == ["video", "image"]
    [picture] = index.shown(image("x.jpg")).files
    assert np.array_equal(np.asarray(Image.open(picture)), index.load("x.jpg")[0][0])
    small = SPEC.model_copy(update={"image_max_pixels": 56 * 28})
    again = materialise(["x.jpg", "v.mp4"], tmp_path, tmp_path / "cache", small)
    assert again.meta("v.mp4") == index.meta("v.mp4")  # its limits are its own
    assert again.load("x.jpg")[0].shape == (1, 56, 28, 3)


def test_an_image_beyond_its_limits_is_refused_by_name(tmp_path: Path) -> None:
    slope(28, 2800).save(tmp_path / "long.png")
    narrow = SPEC.model_copy(update={"image_max_pixels": 28 * 28 * 4, "image_min_pixels": 784})
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(QuarantineError, match="2 of 2") as refused:
        materialise(["long.png", "broken.png"], tmp_path, tmp_path / "cache", narrow)
    assert "long.png: no size near 2800x28" in str(refused.value)
    assert "broken.png: InvalidDataError" in str(refused.value)
    with pytest.raises(QuarantineError, match=r"long\.png: no size .* \(sample 's3'\)"):
        asked = shown_by([question(3, media=(image("long.png"),))])
        materialise(asked, tmp_path, tmp_path / "cache", narrow)


def test_a_file_given_as_two_kinds_is_none_of_the_wrong_one(tmp_path: Path) -> None:
    slope(56, 56).save(tmp_path / "x.png")
    both = [image("x.png"), video("x.png")]
    index = materialise(both, tmp_path, tmp_path / "cache", SPEC, max_quarantined=1)
    assert [index.holds([item]) for item in both] == [True, False]
