"""From a clip file to the frames a FrameSpec names, with PyAV."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from data_builders.frame_rule import ClipError, effective_fps, frame_indices, frame_size
from data_builders.media import Item, Kind
from data_builders.specs import FrameSpec

Frames = NDArray[np.uint8]
"""Frames of a clip, `(T, height, width, 3)`, RGB."""

Orientation = tuple[bool, int, int]
"""From stored to shown: whether rows and columns change places, and the steps down and across
after that; -1 mirrors."""
TURNS: list[Orientation] = [(False, 1, 1), (True, -1, 1), (False, -1, -1), (True, 1, -1)]
"""By quarter turns counterclockwise."""
EXIF: dict[int, Orientation] = {
    2: (False, 1, -1),
    3: TURNS[2],
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: TURNS[3],
    7: (True, -1, -1),
    8: TURNS[1],
}
"""By the value of the tag."""
MAX_SOURCE_PIXELS = 8192 * 8192
"""Larger pictures (height x width) are refused before anything is allocated for them."""


LISTS = {"concat", "dash", "hls", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp"}
"""Formats whose content lies in other files, which FFmpeg would open."""
FORMATS = {"format_whitelist": ",".join(sorted(av.formats_available - LISTS))}


@dataclass(frozen=True)
class Decoded:
    """The chosen frames of a clip and where they came from."""

    frames: Frames
    """`(T, height, width, 3)`; T is even or, of an image, 1; height and width are multiples of the
    spec's."""
    indices: tuple[int, ...]
    """Index of each frame in the clip."""
    fps: Fraction
    """Frames a second among the chosen ones: what the model's time positions are made of."""
    source_frames: int
    source_size: tuple[int, int]
    """Height and width of the clip as shown, pixels."""


def decode(root: Path, item: Item, spec: FrameSpec) -> Decoded:
    """Read the frames of `item` below `root` that `spec` names; of an image its only one.

    Raises `ClipError` when the file is no readable video or image, as the item says, has fewer
    frames than it claims, or a damaged one among those wanted.
    """
    path, own = root / item.path, spec.of(item.kind)
    try:
        if item.kind != (kind := _kind(path)):
            raise ClipError(f"is given as {_A[item.kind]} and is {_A[kind]}")
        return _decode_image(path, own) if kind == "image" else _decode_video(path, item, own)
    except (av.error.FFmpegError, OSError) as error:
        raise ClipError(f"{type(error).__name__}: {error.strerror or error}") from error


_A: dict[Kind, str] = {"image": "a still image", "video": "a video"}


def _kind(path: Path) -> Kind:
    with _open(path) as container:
        return "image" if container.format.name.endswith(("image2", "_pipe")) else "video"


def _decode_video(path: Path, item: Item, spec: FrameSpec) -> Decoded:
    times = frame_times(path)
    first, last = _part(times, item)
    indices = [first + index for index in frame_indices(times[first:last], spec)]
    frames, size = _read(path, times, indices, spec)
    return Decoded(frames, tuple(indices), effective_fps(times, indices), len(times), size)


def _part(times: list[Fraction], item: Item) -> tuple[int, int]:
    """The frames from the item's start to its end, as a range."""
    shown = [float(time - times[0]) for time in times]
    first = bisect_left(shown, item.start or 0.0)
    last = len(times) if item.end is None else bisect_right(shown, item.end)
    if item.name != item.path and last - first < 2:
        raise ClipError(f"ends at {shown[-1]:g} s: fewer than two frames are in {item.name}")
    return first, last


def _decode_image(path: Path, spec: FrameSpec) -> Decoded:
    with _open(path) as container:
        stream = _video_stream(container)
        if container.format.name != "tiff_pipe":  # there it explodes at any tag of EXIF's
            stream.codec_context.options = {"err_detect": "explode"}  # or half a JPEG turns grey
        for frame in container.decode(stream):
            orientation = _exif_orientation(path)
            picture, size = _picture(frame, spec, VideoReformatter(), orientation)
            return Decoded(picture[None], (0,), Fraction(1), 1, size)
    raise ClipError("is an image that does not decode")


def frame_times(path: Path) -> list[Fraction]:
    """The time of each frame of `path` in seconds, from the packets, without decoding them.

    A lossless cut leaves some that are none of the clip's: an edit list hides them, or they lack
    the frames before the cut, of which they were made.
    """
    with _open(path) as container:
        stream = _video_stream(container)
        listed = _listed(container, stream)
        packets = [p for p in container.demux(stream) if p.size]
        if any(packet.pts is None for packet in packets if not packet.is_discard):
            raise ClipError("has frames without a time")
        if len(packets) < listed and _ends_early(packets, stream):
            raise ClipError(f"truncated: {len(packets)} of the {listed} frames it lists")
        timed = [packet for packet in packets if packet.pts is not None]
        first = next((number for number, p in enumerate(timed) if p.is_keyframe), 0)
        whole = [p.pts for p in timed[first:] if p.pts >= timed[first].pts and not p.is_discard]
        return sorted(pts * stream.time_base for pts in whole)


def _ends_early(packets: list[Any], stream: Any) -> bool:
    """Whether the last frame is over before the stream is: AVI lists frames that it leaves out."""
    timed = [packet for packet in packets if packet.pts is not None]
    end = max((packet.pts + 2 * (packet.duration or 0) for packet in timed), default=0)
    return end < (stream.start_time or 0) + (stream.duration or 0)


def _listed(container: Any, stream: Any) -> int:
    """How many frames the file says it has, at least; 0 where it doesn't say.

    The number in the header of an MP4 counts frames that its edit list leaves out; the index that
    libavformat makes of both doesn't.
    """
    entries = len(stream.index_entries) if "mp4" in container.format.name else 0
    return int(entries or stream.frames)


def _open(path: Path) -> Any:
    """A container of frames; `ClipError` for a list of other files, whichever machine they are on.

    A damaged title is no damaged frame.
    """
    try:
        return av.open(str(path), metadata_errors="replace", options=FORMATS)
    except av.error.ArgumentError as error:
        raise ClipError("is a list of other files, not a clip") from error


def _video_stream(container: Any) -> Any:
    if not container.streams.video:
        raise ClipError("has no video stream")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ClipError("its codec is unknown")
    if stream.width * stream.height > MAX_SOURCE_PIXELS:
        raise ClipError(f"frames of {stream.width}x{stream.height} pixels are too large")
    stream.thread_count = 1  # clips are decoded side by side in processes
    return stream


def _read(
    path: Path, times: list[Fraction], indices: list[int], spec: FrameSpec
) -> tuple[Frames, tuple[int, int]]:
    wanted = {times[index] for index in indices}
    found: dict[Fraction, Frames] = {}
    size = (0, 0)
    scaler = VideoReformatter()
    with _open(path) as container:
        stream = _video_stream(container)
        for frame in _frames(container, stream):
            time = frame.pts * stream.time_base if frame.pts is not None else None
            if time in wanted:
                found[time], size = _picture(frame, spec, scaler)
            if len(found) == len(wanted):
                break
    if len(found) < len(wanted):
        raise ClipError(f"only {len(found)} of the {len(wanted)} frames wanted decode")
    return np.stack([found[times[index]] for index in indices]), size


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """All that decode; what comes before the first of them may lack the frames it was made of."""
    begun = False
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            if begun:
                raise
            continue
        begun = begun or bool(frames)
        yield from frames


def _picture(
    frame: Any, spec: FrameSpec, scaler: VideoReformatter, orientation: Orientation | None = None
) -> tuple[Frames, tuple[int, int]]:
    """One frame, upright and at the target size, and the size it is shown at."""
    if frame.is_corrupt:
        raise ClipError(f"the frame at {float(frame.time):.3f} s is damaged")
    turned, down, across = orientation or _orientation(frame)
    shown = (frame.width, frame.height) if turned else (frame.height, frame.width)
    high, wide = frame_size(*shown, spec)
    size = (high, wide) if turned else (wide, high)
    rgb = scaler.reformat(frame, *size, format="rgb24", interpolation="BICUBIC")
    scaled: Frames = rgb.to_ndarray()  # type: ignore[assignment]  # rgb24 is of bytes
    return (scaled.transpose(1, 0, 2) if turned else scaled)[::down, ::across], shown


def _orientation(frame: Any) -> Orientation:
    """What the frame's display matrix says: it takes a stored (x, y) to (ax + cy, bx + dy).

    (libavutil, display.h.) Of an angle that is no right one, the nearest right one is taken.
    """
    try:
        matrix = [data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]
    except ValueError:  # side data of a kind that PyAV has no name for: all it tells is the angle
        return TURNS[round(frame.rotation / 90) % 4]
    if not matrix:
        return TURNS[0]
    a, b, _, c, d = np.frombuffer(bytes(matrix[0]), np.int32)[:5]
    turned = abs(a) < abs(c)
    down, across = (b, c) if turned else (d, a)
    return turned, -1 if down < 0 else 1, -1 if across < 0 else 1


def _exif_orientation(path: Path) -> Orientation:
    """What the photograph's EXIF tag says, from 1 to 8; upright where it says nothing.

    `OSError` where a part of the image is missing.
    """
    try:
        with Image.open(path) as image:
            tag = image.getexif().get(ExifTags.Base.Orientation, 1)
            image.load()  # which turns a TIFF itself, and forgets the tag
            return EXIF.get(tag, TURNS[0])
    except UnidentifiedImageError:  # of a format that only libavcodec knows
        return TURNS[0]


def write_lossless(path: Path, frames: Frames, fps: Fraction) -> None:
    """Write `frames` to an mp4 that decodes to the very same pixels at the very same fps.

    H.264 in RGB at quantiser 0; players that only know 4:2:0 may not show it.
    """
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264rgb", rate=fps)
        stream.pix_fmt = "rgb24"
        stream.height, stream.width = frames.shape[1:3]
        stream.options = {"qp": "0", "preset": "veryfast", "threads": "1"}
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def read_all(path: Path) -> Frames:
    """Every frame of `path` as it is, `(T, height, width, 3)`."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        to_rgb = VideoReformatter()  # one for all frames: setting it up is most of the cost
        frames = (to_rgb.reformat(frame, format="rgb24") for frame in container.decode(stream))
        return np.stack([frame.to_ndarray() for frame in frames])
