"""A corpus of odd clips, against what the ffmpeg program shows of them.

Turns and mirrors x edit lists x containers and codecs. The second opinion is libavfilter's, with
the filters that the program puts in for a display matrix (fftools/ffmpeg_filter.c, ffmpeg 8).
"""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.filter import Graph
from PIL import ExifTags, Image, ImageOps

from data_builders.decoding import decode, write_lossless
from data_builders.frame_rule import ClipError
from data_builders.media import whole
from data_builders.specs import FrameSpec

SPEC = FrameSpec(fps=2, min_frames=4, max_frames=64, min_pixels=784, max_pixels=10**6)
SIZE = (56, 84)
COUNT = 32
SIGNS = list(product((1, -1), (1, -1)))
MATRICES = [(x, 0, 0, y) for x, y in SIGNS] + [(0, x, y, 0) for x, y in SIGNS]
"""All turns and mirrors: what a stored (x, y) becomes, as (a, b, c, d) of a display matrix."""
KINDS = {
    "h264.mp4": ("libx264", "yuv420p", {"bf": "2", "g": "12"}),
    "hevc.mp4": ("libx265", "yuv420p", {"x265-params": "log-level=none:keyint=12"}),
    "mjpeg.mov": ("mjpeg", "yuvj420p", {}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"deadline": "realtime"}),
    "ffv1.mkv": ("ffv1", "bgr0", {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {}),
    "h264.ts": ("libx264", "yuv420p", {"bf": "2"}),
}
OPEN = {
    "h264": ("libx264", "yuv420p", {"x264-params": "open-gop=1:keyint=12:bframes=3:b-adapt=0"}),
    "hevc": ("libx265", "yuv420p", {"x265-params": "log-level=none:keyint=12:open-gop=1"}),
}
"""Groups of pictures that refer to the one before."""


def write(
    path: Path, kind: str, matrix: tuple[int, ...] = (1, 0, 0, 1), late: int = 0, **mux: str
) -> Path:
    """A bright corner that grows with time: no turn, mirror or other frame looks the same."""
    codec, pixels, options = (KINDS | OPEN)[kind]
    a, b, c, d = (value << 16 for value in matrix)
    with av.open(str(path), "w", options=mux) as container:
        stream = container.add_stream(codec, rate=8, options=options)
        stream.height, stream.width, stream.pix_fmt = *SIZE, pixels
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for number in range(COUNT):
            picture = np.full((*SIZE, 3), 32, np.uint8)
            picture[: 4 + number, : 8 + 2 * number] = (250, 4 * number, 60)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = late + number, Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path: Path, start: Fraction, seconds: Fraction) -> None:
    """Let the edit list show `seconds` from `start` on, as a lossless cut does."""
    data = bytearray(path.read_bytes())
    elst, mvhd, mdhd = (data.index(name) + 4 for name in (b"elst", b"mvhd", b"mdhd"))
    movie, media = (int.from_bytes(data[box + 12 : box + 16]) for box in (mvhd, mdhd))
    assert int.from_bytes(data[elst + 4 : elst + 8]) == 1  # edits
    (first,) = struct.unpack_from(">i", data, elst + 12)  # B-frames begin after 0
    struct.pack_into(">Ii", data, elst + 8, int(seconds * movie), first + int(start * media))
    path.write_bytes(data)


def as_ffmpeg(path: Path) -> list[np.ndarray]:
    """Every frame as the program shows it."""
    shown = []
    with av.open(str(path)) as container:
        stream, graph = container.streams.video[0], None
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # the program tells of it and goes on
                continue
            for frame in frames:
                graph = graph or _graph(stream, frame)
                graph.push(frame)
                shown.append(graph.pull().to_ndarray(format="rgb24"))
    return shown


def _graph(stream: Any, frame: Any) -> Graph:
    data = [bytes(each) for each in frame.side_data if each.type.name == "DISPLAYMATRIX"]
    matrix = struct.unpack("9i", data[0]) if data else None
    theta = -frame.rotation % 360
    filters: list[tuple[str, str]] = []
    if matrix and theta == 90:
        filters = [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
    elif matrix and theta == 180:
        filters = [("hflip", "")] * (matrix[0] < 0) + [("vflip", "")] * (matrix[4] < 0)
    elif matrix and theta == 270:
        filters = [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
    elif matrix:
        filters = [("vflip", "")] * (matrix[4] < 0)
    graph = Graph()
    nodes = [graph.add_buffer(template=stream)]
    nodes += [graph.add(name, given) for name, given in [*filters, ("format", "rgb24")]]
    nodes.append(graph.add("buffersink"))
    for one, next_ in pairwise(nodes):
        one.link_to(next_)
    graph.configure()
    return graph


def compare(path: Path) -> int:
    """Ask that the frames decoded are ffmpeg's at their places; how many ffmpeg shows."""
    shown, decoded = as_ffmpeg(path), decode(path.parent, whole(path.name), SPEC)
    assert decoded.source_frames == len(shown)
    assert decoded.source_size == shown[0].shape[:2]
    expected = np.stack([shown[index] for index in decoded.indices]).astype(int)
    assert np.abs(decoded.frames - expected).mean() < 2
    return len(shown)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("matrix", MATRICES)
def test_turned_and_mirrored_clips_are_read_as_ffmpeg_shows_them(
    kind: str, matrix: tuple[int, ...], tmp_path: Path
) -> None:
    assert compare(write(tmp_path / kind, kind, matrix)) == COUNT


@pytest.mark.parametrize("kind", ["h264.mp4", "hevc.mp4", "mjpeg.mov"])
@pytest.mark.parametrize("matrix", [MATRICES[0], MATRICES[1], MATRICES[5]])
@pytest.mark.parametrize(("start", "seconds"), [(0, 2), (5, 2), (13, 1), (16, 2)])
def test_a_lossless_cut_is_the_clip_that_ffmpeg_shows(
    kind: str, matrix: tuple[int, ...], start: int, seconds: int, tmp_path: Path
) -> None:
    clip = write(tmp_path / kind, kind, matrix)
    cut(clip, Fraction(start, 8), Fraction(seconds))
    assert compare(clip) == 8 * seconds


@pytest.mark.parametrize(
    ("codec", "container"),
    [("h264", "mkv"), ("h264", "mp4"), ("hevc", "mkv"), ("hevc", "mp4"), ("hevc", "ts")],
)
def test_a_copy_from_a_later_keyframe_on_is_the_clip_that_ffmpeg_shows(
    codec: str, container: str, tmp_path: Path
) -> None:
    source = write(tmp_path / "source.mp4", codec)
    with av.open(str(source)) as given, av.open(str(tmp_path / f"x.{container}"), "w") as copy:
        stream, keys = copy.add_stream_from_template(given.streams.video[0]), 0
        for packet in given.demux(video=0):
            keys += packet.is_keyframe
            if keys > 1 and packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    assert compare(tmp_path / f"x.{container}") == COUNT - 12


def test_an_avi_that_begins_late_is_whole_and_half_of_it_is_not(tmp_path: Path) -> None:
    clip = write(tmp_path / "x.avi", "mpeg4.avi", late=16)
    assert compare(clip) == COUNT
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    with pytest.raises(ClipError):
        decode(tmp_path, whole("x.avi"), SPEC)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_clip_whose_end_is_missing_is_refused(share: float, tmp_path: Path) -> None:
    clip = write(tmp_path / "x.mp4", "h264.mp4", movflags="faststart")
    cut(clip, Fraction(1), Fraction(3))
    assert compare(clip) == 24
    data = clip.read_bytes()
    clip.write_bytes(data[: data.index(b"mdat") + int(share * len(data[data.index(b"mdat") :]))])
    with pytest.raises(ClipError, match="truncated"):
        decode(clip.parent, whole(clip.name), SPEC)


@pytest.mark.parametrize(
    ("gap", "fps"), [(36_000, 1 / 36_000), (1.36e4, 1 / 1.36e4), (0.3, 1 / 0.3)]
)
def test_the_rate_of_two_frames_is_right_however_far_apart(
    gap: float, fps: float, tmp_path: Path
) -> None:
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in (0, gap):
            frame = av.VideoFrame.from_ndarray(np.zeros((*SIZE, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = int(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    decoded = decode(tmp_path, whole("x.mkv"), SPEC)
    assert float(decoded.fps) == pytest.approx(fps, rel=2**-8)
    write_lossless(tmp_path / "y.mp4", decoded.frames, decoded.fps)
    with av.open(str(tmp_path / "y.mp4")) as container:
        assert container.streams.video[0].average_rate == decoded.fps


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tiff"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_a_photograph_is_read_as_its_tag_says(name: str, tag: int, tmp_path: Path) -> None:
    corner = np.full((*SIZE, 3), 32, np.uint8)
    corner[:20, :60] = (250, 100, 60)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = tag
    Image.fromarray(corner).save(tmp_path / name, exif=exif, quality=95)
    with Image.open(tmp_path / name) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    (frame, *_) = decode(tmp_path, whole(name), SPEC).frames
    assert frame.shape == upright.shape and np.abs(frame - upright).mean() < 2
