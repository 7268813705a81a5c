"""From samples with good and bad clips to a trainer's files: no row silently loses its video."""

from __future__ import annotations

import json
import logging
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from data_builders.decoding import decode, write_lossless
from data_builders.frame_store import FrameCacheError, Job
from data_builders.frame_store import build as store
from data_builders.frames import QuarantineError, materialise
from data_builders.media import video, whole
from data_builders.prepare import PrepareConfig, main, prepare, split
from data_builders.sample import SampleError, read_samples, write_samples
from data_builders.specs import FrameSpec, PromptSpec
from tests.givens import question

SPEC = FrameSpec(fps=2.0, min_frames=4, max_frames=8, min_pixels=784, max_pixels=56 * 56)
GOOD = ("a.mp4", "b.mp4", "clip.txt")
BAD = ("cut.mp4", "text.mp4", "gone.mp4", "../out.mp4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Clips under `root/data`, one of them with the extension of something else."""
    data = tmp_path / "data"
    data.mkdir()
    for number, name in enumerate(("a.mp4", "b.mp4")):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 56, 56, 3), dtype=np.uint8)
        write_lossless(data / name, pixels, Fraction(2))
    whole = (data / "a.mp4").read_bytes()
    (data / "clip.txt").write_bytes(whole)
    (data / "cut.mp4").write_bytes(whole[:300])
    (data / "text.mp4").write_text("<html>404</html>")
    (tmp_path / "out.mp4").write_bytes(whole)
    return tmp_path


def config(root: Path, clips: tuple[str, ...], form: str, **changes: Any) -> PrepareConfig:
    trace = {"observation": "It slides.", "think": "Pan."}
    samples = [question(n, media=(video(clip),), **trace) for n, clip in enumerate(clips)]
    write_samples(root / "sft.parquet", samples)
    values = {
        "format": form, "samples": {"sft": root / "sft.parquet"}, "clips": root / "data",
        "frames": SPEC, "prompt": PromptSpec(), "cache": root / "cache", "workers": 1,
        "max_quarantined": 1.0, "out": root / "stage" / "data",
    }  # fmt: skip
    return PrepareConfig.model_validate({**values, **changes})


def videos(form: str, out: Path) -> list[str]:
    """The video files that the exported rows name."""
    if form == "verl":
        return [row["videos"][0]["video"] for row in pq.read_table(out / "sft.parquet").to_pylist()]
    return [row["videos"][0] for row in json.loads((out / "sft.json").read_text())]


@pytest.mark.parametrize("form", ["llamafactory", "verl", "easyr1"])
def test_rows_whose_clip_is_unreadable_are_left_out_counted_and_said(
    root: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = config(root, (*GOOD, *BAD), form)
    index = prepare(asked)
    assert set(dict(index.quarantined)) == set(BAD) and all(dict(index.quarantined).values())
    assert "3 questions, 4 without a readable clip" in caplog.text
    exported = videos(form, asked.out)
    assert len(exported) == len(GOOD) and all(Path(video).is_file() for video in exported)


def test_held_out_questions_share_no_clip_with_the_others() -> None:
    samples = [question(3 * c + n, media=(video(f"{c}.mp4"),)) for c in range(6) for n in range(3)]
    left, out = split(samples, 4, seed=1)
    assert len(out) == 6 and not {s.clip for s in left} & {s.clip for s in out}
    assert sorted(s.id for s in [*left, *out]) == sorted(s.id for s in samples)
    assert split(samples, 4, seed=1) == (left, out) != split(samples, 4, seed=3)
    with pytest.raises(SampleError, match=r"rl.validation.questions: 16 .* of 18"):
        split(samples, 16, seed=1)


def test_over_the_limit_nothing_is_exported_and_the_clips_are_listed(root: Path) -> None:
    asked = config(root, (*GOOD, *BAD), "verl", max_quarantined=0.5)
    with pytest.raises(QuarantineError, match=r"4 of 7 clips(?s:.*)gone\.mp4(?s:.*)text\.mp4"):
        prepare(asked)
    assert not asked.out.exists()
    (root / "prepare.json").write_text(asked.model_dump_json())
    assert main([str(root / "prepare.json")]) == os.EX_DATAERR  # not to be tried again


def test_a_wrong_extension_does_not_matter_the_content_does(root: Path) -> None:
    index = prepare(config(root, ("a.mp4", "clip.txt"), "frames"))
    assert index.meta("clip.txt").key == index.meta("a.mp4").key


def test_frames_of_a_variable_rate_are_taken_evenly_in_time(root: Path) -> None:
    """Half the frames in the first second, half in the other seven."""
    times = [n / 8 for n in range(8)] + [1 + n for n in range(8)]
    path = root / "data" / "variable.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 56, 56, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 8)
        for number, time in enumerate(times):
            picture = np.full((56, 56, 3), number * 15, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * 8), Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    decoded = decode(path.parent, whole(path.name), SPEC)
    assert decoded.indices == (0, 8, 9, 10, 12, 13, 14, 15)  # shown at 0, 1, 2, 3, 5, 6, 7, 8 s
    means = decoded.frames.reshape(8, -1).mean(axis=1)
    assert np.abs(means - np.array(decoded.indices) * 15).max() < 4
    assert float(decoded.fps) == pytest.approx(7 / 8, rel=2**-8)  # as bfloat16 holds it


# --- a full disk ---


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files can't grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_cache_as_it_was(root: Path) -> None:
    before = materialise(["a.mp4"], root / "data", root / "cache", SPEC)
    there = sorted(path.name for path in (root / "cache").iterdir())
    with room_for(1000):
        made = store(Job(video("b.mp4"), root / "data", root / "cache", SPEC))
    assert isinstance(made, FrameCacheError) and "can't write frames" in str(made)
    assert sorted(path.name for path in (root / "cache").iterdir()) == there
    before.load("a.mp4")
    again = materialise(["b.mp4"], root / "data", root / "cache", SPEC)
    again.load("b.mp4")


@pytest.mark.parametrize("form", ["llamafactory", "verl", "easyr1"])
def test_a_full_disk_leaves_the_old_export(root: Path, form: str) -> None:
    asked = config(root, GOOD, form)
    prepare(asked)
    name = "sft.parquet" if form == "verl" else "sft.json"
    old = (asked.out / name).read_bytes()
    index_size = (asked.out / "frames.json").stat().st_size
    more = config(root, GOOD * 200, form)
    with pytest.raises(OSError), room_for(index_size):
        prepare(more)
    assert (asked.out / name).read_bytes() == old


def test_a_full_disk_leaves_the_old_samples(root: Path) -> None:
    config(root, GOOD, "verl")
    old = read_samples(root / "sft.parquet")
    more = [s.model_copy(update={"id": f"{s.id}/{n}"}) for s in old for n in range(2000)]
    with pytest.raises(OSError), room_for(2000):
        write_samples(root / "sft.parquet", more)
    assert read_samples(root / "sft.parquet") == old
