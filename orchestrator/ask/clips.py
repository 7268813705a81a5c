"""From what a user names (a file, a folder, an address) to clips and their frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from data_builders.decoding import frame_times
from data_builders.frames import FrameMeta, materialise
from orchestrator.ask.errors import AskError
from orchestrator.ask.recipe import AskRecipe
from orchestrator.plan.stage import ROOT

SUFFIXES = {".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}
MOST_BYTES = 1_000_000_000
"""Of a clip from the network."""
SECONDS = 30.0
"""Without a byte from the network."""


class ClipFrames(NamedTuple):
    """A clip's frames as the model gets them."""

    meta: FrameMeta
    entry: Path
    """Directory of the frame cache."""
    times: tuple[float, ...]
    """Seconds after the clip's first frame, one a sampled frame."""


@contextmanager
def open_clips(name: str) -> Iterator[tuple[Path, list[str]]]:
    """A root and the clips below it: a file, a folder's videos, or a download kept until the end.

    Raises `AskError` for a clip that isn't there, a folder without any, an address that fails.
    """
    path = Path(name)
    if urlsplit(name).scheme in ("http", "https"):
        with TemporaryDirectory(prefix="camreasoner-") as folder:
            yield Path(folder), [download(name, Path(folder))]
    elif path.is_dir():
        root = path.resolve()
        found = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not found:
            raise AskError(f"{name}: no clips in this folder ({', '.join(sorted(SUFFIXES))})")
        yield root, [clip.relative_to(root).as_posix() for clip in found]
    elif path.exists():
        yield path.resolve().parent, [path.resolve().name]
    else:
        raise AskError(
            f"no clip at {name!r}: name a video file, a folder of them, or an http(s) address"
        )


def download(address: str, folder: Path, most: int = MOST_BYTES) -> str:
    """Fetch one clip into `folder` and return its name; `AskError` where that can't be."""
    target = folder / (PurePosixPath(urlsplit(address).path).name or "clip")
    try:
        with httpx2.stream("GET", address, follow_redirects=True, timeout=SECONDS) as answer:
            answer.raise_for_status()
            _check_size(address, int(answer.headers.get("content-length", 0)), most)
            with target.open("wb") as file:
                for part in answer.iter_bytes():
                    file.write(part)
                    _check_size(address, file.tell(), most)
    except httpx2.HTTPStatusError as error:
        status = f"{error.response.status_code} {error.response.reason_phrase}"
        raise AskError(f"{address}: the server answers {status}") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        if isinstance(error, AskError):
            raise
        raise AskError(f"{address}: can't be fetched ({error or type(error).__name__})") from error
    return target.name


def sample(
    root: Path, clips: Sequence[str], recipe: AskRecipe
) -> tuple[dict[str, ClipFrames], dict[str, str]]:
    """The frames of each readable clip, and the reason for each other one."""
    index = materialise(
        clips,
        root,
        ROOT / recipe.data.cache_dir,
        recipe.eval_frames,
        workers=min(recipe.data.workers, len(clips), os.cpu_count() or 1),
        max_quarantined=1.0,
    )
    shown = {
        clip: ClipFrames(meta, index.cache / meta.key, _times(root / clip, meta))
        for clip, meta in index.clips.items()
    }
    return shown, dict(index.quarantined)


def _times(path: Path, meta: FrameMeta) -> tuple[float, ...]:
    if meta.is_still:
        return (0.0,)
    times = frame_times(path)
    return tuple(float(times[index] - times[0]) for index in meta.indices)


def _check_size(address: str, size: int, most: int) -> None:
    if size > most:
        raise AskError(
            f"{address}: larger than {most / 1e6:,.0f} MB; fetch it yourself, cut the clip out, "
            "and name the file"
        )
