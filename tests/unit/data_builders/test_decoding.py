"""Clips are decoded to the frames of the rule, and written without loss."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_clips import noise, write_h264

from data_builders.decoding import decode, read_all, write_lossless
from data_builders.frame_rule import ClipError
from data_builders.media import whole
from tests.givens import SPEC


@pytest.mark.parametrize(
    "fps", [Fraction(2), Fraction(1), Fraction(30000, 1001), Fraction(1673, 239)]
)
def test_the_lossless_clip_holds_the_same_pixels_at_the_same_fps(
    tmp_path: Path, fps: Fraction
) -> None:
    frames = noise(6, 56, 84)
    write_lossless(tmp_path / "clip.mp4", frames, fps)
    assert np.array_equal(read_all(tmp_path / "clip.mp4"), frames)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        seconds = stream.duration * stream.time_base  # as LLaMA-Factory 0.9.5 computes it
        assert stream.frames == 6
        assert 6 / float(seconds) == pytest.approx(float(fps), rel=1e-9)


def test_decoding_takes_the_frames_that_the_rule_names(tmp_path: Path) -> None:
    frames = np.repeat(np.arange(24, dtype=np.uint8)[:, None, None, None] * 10, 3, axis=3)
    frames = np.broadcast_to(frames, (24, 56, 56, 3))
    clip = write_h264(tmp_path / "clip.mp4", frames)
    decoded = decode(clip.parent, whole(clip.name), SPEC)
    assert decoded.indices == (0, 5, 9, 14, 18, 23)
    means = decoded.frames.reshape(6, -1).mean(axis=1)
    assert np.abs(means - np.array(decoded.indices) * 10).max() < 4
    assert decoded.source_frames == 24 and decoded.source_size == (56, 56)


def test_frames_of_the_target_size_are_not_touched(tmp_path: Path) -> None:
    write_lossless(tmp_path / "clip.mp4", noise(), Fraction(2))
    assert np.array_equal(decode(tmp_path, whole("clip.mp4"), SPEC).frames, noise())


@pytest.mark.parametrize("format_", ["yuv420p10le", "gray"])
def test_other_pixel_formats_become_rgb(tmp_path: Path, format_: str) -> None:
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.height, stream.width, stream.pix_fmt = 60, 90, format_
        for picture in noise(8, 60, 90):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=format_)))
        container.mux(stream.encode())
    assert decode(tmp_path, whole("clip.mkv"), SPEC).frames.shape == (4, 28, 56, 3)


def test_a_rotated_clip_is_read_as_it_is_shown(tmp_path: Path) -> None:
    frames = noise(8, 28, 56)
    write_lossless(tmp_path / "clip.mp4", frames, Fraction(2))
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    matrix = data.index(b"tkhd") + 44  # ISO 14496-12, track header box, version 0
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "clip.mp4").write_bytes(data)
    decoded = decode(tmp_path, whole("clip.mp4"), SPEC)
    assert decoded.source_size == (56, 28)
    assert np.array_equal(decoded.frames, np.rot90(frames, -1, axes=(1, 2)))  # clockwise


@pytest.mark.parametrize("seed", range(30))
def test_flipped_bytes_are_refused_or_give_whole_frames(tmp_path: Path, seed: int) -> None:
    data = bytearray(write_h264(tmp_path / "clip.mp4", noise(16)).read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(len(data), size=10):
        data[place] ^= int(rng.integers(1, 256))
    (tmp_path / "clip.mp4").write_bytes(data)
    try:
        decoded = decode(tmp_path, whole("clip.mp4"), SPEC)
    except ClipError:
        return
    count, high, wide, channels = decoded.frames.shape
    assert count % 2 == 0 and count == len(decoded.indices) and channels == 3
    assert high % 28 == wide % 28 == 0 and 784 <= high * wide <= 56 * 56


def test_huge_frames_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_builders.decoding.MAX_SOURCE_PIXELS", 56 * 55)
    write_lossless(tmp_path / "clip.mp4", noise(), Fraction(2))
    with pytest.raises(ClipError, match="56x56 pixels are too large"):
        decode(tmp_path, whole("clip.mp4"), SPEC)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile other.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "<MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period/></MPD>",
    ],
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.m3u8", "clip.mpd", "clip.sdp"])
def test_a_list_of_other_files_is_no_clip(tmp_path: Path, name: str, text: str) -> None:
    write_lossless(tmp_path / "other.mp4", noise(), Fraction(2))
    (tmp_path / name).write_text(text.format(tmp_path / "other.mp4"))
    with pytest.raises(ClipError):
        decode(tmp_path, whole(name), SPEC)
