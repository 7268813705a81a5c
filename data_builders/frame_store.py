"""One entry of the frame cache: how it is made, in a worker process, and how it is read.

An entry is a directory `<cache>/<key>/`, its key a hash of the clip's content, the part of it, the
FrameSpec and the format's version:

    frames.rgb   uint8, (T, height, width, 3), bytes alone: the shape stands in meta.json
    clip.mp4     the same frames, losslessly, at the effective fps, for trainers that want a file
    0000.png …   each frame, where the spec shows them as images; a still image has this alone
    meta.json    FrameMeta, written last
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from data_builders.decoding import Decoded, Frames, decode, read_all, write_lossless
from data_builders.frame_rule import ClipError
from data_builders.media import Item, Kind
from data_builders.specs import FrameSpec
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import remove, replacement

FORMAT_VERSION = 3
TEMPORAL_PATCH = 2
"""Frames merged into one visual token in time (Qwen2-VL and later)."""


class FrameCacheError(CamReasonerError, RuntimeError):
    """The cache is damaged, can't be written, or doesn't fit what is asked of it."""


class FrameMeta(BaseModel):
    """What travels with the frames of one video or image, all the way into the processors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    spec: FrameSpec
    indices: tuple[int, ...]
    """Index of each frame in the source clip; of a still image 0."""
    fps: float
    """Effective: frames a second among those chosen."""
    height: int
    width: int
    source_frames: int
    source_height: int
    source_width: int
    frames_sha256: str
    video_sha256: str
    images_sha256: tuple[str, ...] = ()
    version: int = FORMAT_VERSION

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of `frames.rgb`: T, height, width, 3."""
        return len(self.indices), self.height, self.width, 3

    @property
    def is_still(self) -> bool:
        """Whether it is a still image."""
        return len(self.indices) == 1

    @property
    def shown(self) -> Kind:
        """What the model sees it as: a video, or as many images as there are frames."""
        return "video" if self.spec.media == "video" else "image"

    @property
    def visual_tokens(self) -> int:
        """Tokens the clip costs in a prompt."""
        area = (self.height // self.spec.multiple) * (self.width // self.spec.multiple)
        merged = TEMPORAL_PATCH if self.spec.media == "video" else 1
        return len(self.indices) // merged * area

    def metadata(self) -> dict[str, object]:
        """`video_metadata` for Hugging Face processors, to be given with `do_sample_frames=False`.

        The frames as a clip of their own, so that `sampled_fps` is the effective fps
        (transformers 5.9, video_utils.py:108). It bears the clip's key: vLLM 0.24 tells what it has
        processed by a video and the metadata of all in the prompt, and would take another's rate.
        """
        count = len(self.indices)
        return {
            "fps": self.fps,
            "total_num_frames": count,
            "duration": count / self.fps,
            "frames_indices": list(range(count)),
            "video_backend": self.key,
            "height": self.height,
            "width": self.width,
        }


def image_paths(entry: Path, count: int) -> list[Path]:
    """Where the first `count` frames of an entry lie as images."""
    return [entry / f"{number:04}.png" for number in range(count)]


def load_entry(directory: Path) -> tuple[Frames, FrameMeta]:
    """Frames and metadata of one cache entry; `FrameCacheError` if a byte of them changed."""
    try:
        meta = FrameMeta.model_validate_json((directory / "meta.json").read_bytes())
        frames = np.fromfile(directory / "frames.rgb", dtype=np.uint8)
    except (OSError, ValidationError) as error:
        raise FrameCacheError(f"{directory} is no frame cache entry: {error}") from error
    if (
        hashlib.sha256(frames.data).hexdigest() != meta.frames_sha256
        or meta.version != FORMAT_VERSION
    ):
        raise FrameCacheError(
            f"{directory}/frames.rgb is damaged or of another version; delete the directory and "
            "run the data stage again"
        )
    return frames.reshape(meta.shape), meta


class Job(NamedTuple):
    item: Item
    root: Path
    cache: Path
    spec: FrameSpec


def build(job: Job) -> FrameMeta | ClipError | FrameCacheError:
    """Runs in a worker process: errors are values, so that they name the clip."""
    try:
        content = _content(job)
        entry, spec = job.cache / _key(content, job), job.spec.of(job.item.kind)
        return _existing(entry) or _store(entry, decode(job.root, job.item, job.spec), spec)
    except (ClipError, FrameCacheError) as error:
        return error


def _key(content: str, job: Job) -> str:
    """Of what shapes the frames: not an image's limits for a video, nor a path."""
    spec, part = job.spec.of(job.item.kind), (job.item.start, job.item.end)
    made_of = f"{content} {part} {spec.model_dump_json()} {FORMAT_VERSION}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:32]


def _content(job: Job) -> str:
    """Content hash of the clip, once it is known to be a file within the root."""
    path = job.root / job.item.path
    if not path.resolve().is_relative_to(job.root):
        raise ClipError(f"leads out of {job.root}")
    if not path.is_file():
        raise ClipError("is not a file" if path.exists() else f"is missing from {job.root}")
    if path.stat().st_size == 0:
        raise ClipError("is empty (zero bytes)")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _existing(entry: Path) -> FrameMeta | None:
    """Metadata of a sound entry; a damaged one is removed, the clip being at hand to redo it."""
    if not entry.exists():
        return None
    try:
        meta = load_entry(entry)[1]
        images = tuple(_sha256(path) for path in image_paths(entry, len(meta.images_sha256)))
        video = "" if meta.is_still else _sha256(entry / "clip.mp4")
        if (video, images) == (meta.video_sha256, meta.images_sha256):
            return meta
    except (FrameCacheError, FileNotFoundError):
        pass
    remove(entry)
    return None


def _store(entry: Path, decoded: Decoded, spec: FrameSpec) -> FrameMeta:
    try:
        with replacement(entry) as partial:  # a clip with the same content may come first
            partial.mkdir()
            return _fill(partial, entry.name, decoded, spec)
    except OSError as error:
        raise FrameCacheError(f"can't write frames to {entry}: {error}") from error


def _fill(directory: Path, key: str, decoded: Decoded, spec: FrameSpec) -> FrameMeta:
    data = decoded.frames.tobytes()
    (directory / "frames.rgb").write_bytes(data)
    video = directory / "clip.mp4"
    if len(decoded.frames) > 1:
        write_lossless(video, decoded.frames, decoded.fps)
        if not np.array_equal(read_all(video), decoded.frames):
            raise FrameCacheError(f"{video} does not decode to the frames it was made of")
    images = image_paths(directory, len(decoded.frames) if spec.media == "images" else 0)
    for path, frame in zip(images, decoded.frames, strict=False):
        Image.fromarray(frame).save(path, compress_level=1)  # lossless at any level
    meta = FrameMeta(
        key=key,
        spec=spec,
        indices=decoded.indices,
        fps=float(decoded.fps),
        height=decoded.frames.shape[1],
        width=decoded.frames.shape[2],
        source_frames=decoded.source_frames,
        source_height=decoded.source_size[0],
        source_width=decoded.source_size[1],
        frames_sha256=hashlib.sha256(data).hexdigest(),
        video_sha256=_sha256(video) if video.exists() else "",
        images_sha256=tuple(map(_sha256, images)),
    )
    (directory / "meta.json").write_text(meta.model_dump_json(indent=1))
    return meta


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
