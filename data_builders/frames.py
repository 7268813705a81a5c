"""The frame contract: each clip is decoded once, and SFT, RL and evaluation read those frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from data_builders.decoding import Frames
from data_builders.frame_cache import in_use
from data_builders.frame_store import (
    FrameCacheError,
    FrameMeta,
    Job,
    build,
    image_paths,
    load_entry,
)
from data_builders.media import Item, Kind, whole
from data_builders.specs import FrameSpec
from data_builders.workers import Failed, isolated_map
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import write_file

__all__ = [
    "FrameCacheError",
    "FrameIndex",
    "FrameMeta",
    "QuarantineError",
    "Quarantined",
    "Shown",
    "load_entry",
    "materialise",
]


class QuarantineError(CamReasonerError, ValueError):
    """More clips are unreadable than the recipe allows."""


class Quarantined(NamedTuple):
    """A clip that yields no frames, and why."""

    clip: str
    reason: str


class Shown(NamedTuple):
    """What stands for an item in a prompt: so many images, or a video."""

    kind: Kind
    files: list[Path]
    meta: FrameMeta


class FrameIndex(BaseModel):
    """Which entry of the cache holds each clip's frames; written once beside the samples.

    A clip goes by its item's name: `walk.mp4`, or `walk.mp4#t=1.5,4` for a part of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache: Path
    spec: FrameSpec
    clips: dict[str, FrameMeta]
    quarantined: tuple[Quarantined, ...] = ()

    def write(self, path: Path) -> None:
        """Write to `path`, atomically."""
        write_file(path, self.model_dump_json())

    @staticmethod
    def read(path: Path, spec: FrameSpec) -> FrameIndex:
        """Read `path`; `FrameCacheError` where it was made with another spec than `spec`."""
        if not path.is_file():
            raise FileNotFoundError(
                f"no frame index at {path}: run the data stage first (make data)"
            )
        index = FrameIndex.model_validate_json(path.read_bytes())
        if index.spec != spec:
            raise FrameCacheError(
                f"{path} holds frames for {index.spec}, but the recipe asks for {spec}; "
                "run the data stage again"
            )
        return index

    def meta(self, clip: str) -> FrameMeta:
        """Metadata of `clip`; `FrameCacheError` if it isn't here, with the reason if known."""
        if clip not in self.clips:
            reason = dict(self.quarantined).get(clip, "it was never materialised")
            raise FrameCacheError(f"no frames of clip {clip!r} in {self.cache}: {reason}")
        return self.clips[clip]

    def holds(self, media: Iterable[Item]) -> bool:
        """Whether all of `media` could be read, each as what it is given as."""
        kept = [(self.clips.get(item.name), item.kind == "image") for item in media]
        return all(meta is not None and meta.is_still == still for meta, still in kept)

    def shown(self, item: Item) -> Shown:
        """What `item` is shown as; `FrameCacheError` if it isn't here."""
        meta = self.meta(item.name)
        if meta.shown == "image":
            return Shown("image", self.image_paths(item.name), meta)
        return Shown("video", [self.video_path(item.name)], meta)

    def frames_path(self, clip: str) -> Path:
        """The clip's `frames.rgb`."""
        return self.cache / self.meta(clip).key / "frames.rgb"

    def video_path(self, clip: str) -> Path:
        """The clip's lossless `clip.mp4`."""
        return self.cache / self.meta(clip).key / "clip.mp4"

    def image_paths(self, clip: str) -> list[Path]:
        """The clip's frames as PNG files, in order; none where the spec shows a video."""
        meta = self.meta(clip)
        return image_paths(self.cache / meta.key, len(meta.images_sha256))

    def load(self, clip: str) -> tuple[Frames, FrameMeta]:
        """Frames `(T, height, width, 3)` and metadata of `clip`, verified."""
        frames, meta = load_entry(self.cache / self.meta(clip).key)
        if meta != self.meta(clip):
            raise FrameCacheError(
                f"{self.cache / meta.key} changed since the frame index was written"
            )
        return frames, meta


def materialise(
    clips: Iterable[Item | str] | Mapping[Item, str],
    root: Path,
    cache: Path,
    spec: FrameSpec,
    *,
    workers: int = 1,
    seconds: float = 60.0,
    max_quarantined: float = 0.01,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FrameIndex:
    """Decode each of `clips` (paths relative to `root`) into `cache`, unless it is there already.

    A bare path is that of a whole image or video; a mapping says with each clip for which sample
    (`shown_by`). A clip that can't be read, leads out of `root`, or takes longer than `seconds` is
    quarantined with its reason; `QuarantineError` lists them when more than a share of
    `max_quarantined` is.
    """
    items = {item if isinstance(item, Item) else whole(item) for item in clips}
    asking = clips if isinstance(clips, Mapping) else {}
    jobs = [Job(item, root.resolve(), cache.resolve(), spec) for item in items]
    jobs.sort(key=lambda job: job.item.name)
    made: dict[str, FrameMeta] = {}
    refused: list[Quarantined] = []
    with in_use(cache):
        for job, result in isolated_map(build, jobs, workers=workers, seconds=seconds):
            if isinstance(result, FrameCacheError):
                raise result
            if isinstance(result, FrameMeta):
                made[job.item.name] = result
            else:
                reason = result.reason if isinstance(result, Failed) else str(result)
                sample = f" (sample {asking[job.item]!r})" if job.item in asking else ""
                refused.append(Quarantined(job.item.name, reason + sample))
            progress(len(made) + len(refused), len(jobs))
    _check_share(refused, len(jobs), max_quarantined)
    ordered = dict(sorted(made.items()))
    return FrameIndex(
        cache=cache.resolve(), spec=spec, clips=ordered, quarantined=tuple(sorted(refused))
    )


def _check_share(refused: list[Quarantined], total: int, most: float) -> None:
    if len(refused) > most * total:
        listed = "".join(f"\n  {clip}: {reason}" for clip, reason in sorted(refused)[:50])
        raise QuarantineError(
            f"{len(refused)} of {total} clips are unreadable, more than data.max_quarantined = "
            f"{most:g} allows; mend or remove them:{listed}"
        )
