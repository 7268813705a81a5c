"""The cache of frames, and what becomes of clips that can't be read."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_clips import noise, write_audio, write_h264
from PIL import Image

from data_builders.decoding import decode, read_all, write_lossless
from data_builders.frame_rule import ClipError
from data_builders.frames import (
    FrameCacheError,
    FrameIndex,
    QuarantineError,
    load_entry,
    materialise,
)
from data_builders.media import video
from data_builders.specs import FrameSpec
from data_builders.workers import Failed, isolated_map
from tests.givens import SPEC

HALF = f".{'0' * 32}.partial"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def build(root: Path, clips: list[str], spec: FrameSpec = SPEC, **options: float) -> FrameIndex:
    settings: dict[str, float] = {"max_quarantined": 1.0, "seconds": 30.0, **options}
    return materialise(clips, root, root.parent / "cache", spec, **settings)  # type: ignore[arg-type]


def test_frames_and_metadata_come_back(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    index = build(root, ["a.mp4", "a.mp4"])
    frames, meta = index.load("a.mp4")
    assert np.array_equal(frames, noise())
    assert np.array_equal(read_all(index.video_path("a.mp4")), noise())
    assert (meta.fps, meta.height, meta.width, meta.visual_tokens) == (2.0, 56, 56, 16)
    assert meta.metadata()["fps"] == 2.0 and meta.metadata()["total_num_frames"] == 8


def test_a_group_can_share_the_cache(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    before = os.umask(0o022)
    try:
        entry = build(root, ["a.mp4"]).frames_path("a.mp4").parent
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (entry, *entry.iterdir())}
    assert modes.pop(entry.name) == 0o755 and set(modes.values()) == {0o644}


def test_images_are_the_frames_and_are_mended_too(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    spec = SPEC.model_copy(update={"media": "images"})
    index = build(root, ["a.mp4"], spec)
    frames, meta = index.load("a.mp4")
    paths = index.image_paths("a.mp4")
    assert np.array_equal(np.stack([np.asarray(Image.open(path)) for path in paths]), frames)
    assert meta.visual_tokens == 2 * build(root, ["a.mp4"]).meta("a.mp4").visual_tokens
    assert build(root, ["a.mp4"]).image_paths("a.mp4") == []
    paths[0].write_bytes(paths[1].read_bytes())
    build(root, ["a.mp4"], spec)
    assert np.array_equal(np.asarray(Image.open(paths[0])), frames[0])


def test_the_index_survives_a_round_trip_and_refuses_another_spec(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    build(root, ["a.mp4"]).write(root / "frames.json")
    assert np.array_equal(FrameIndex.read(root / "frames.json", SPEC).load("a.mp4")[0], noise())
    with pytest.raises(FrameCacheError, match="recipe asks for"):
        FrameIndex.read(root / "frames.json", SPEC.model_copy(update={"fps": 1.0}))


def test_the_key_follows_content_and_spec_not_the_path(root: Path) -> None:
    for name, seed in (("a.mp4", 0), ("b.mp4", 0), ("c.mp4", 1)):
        write_lossless(root / name, noise(seed=seed), Fraction(2))
    index = build(root, ["a.mp4", "b.mp4", "c.mp4"])
    other = build(root, ["a.mp4"], SPEC.model_copy(update={"max_frames": 4}))
    assert index.meta("a.mp4").key == index.meta("b.mp4").key != index.meta("c.mp4").key
    assert other.meta("a.mp4").key != index.meta("a.mp4").key


def test_a_clip_is_decoded_once(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    first = build(root, ["a.mp4"])
    before = first.frames_path("a.mp4").stat().st_mtime_ns
    assert build(root, ["a.mp4"]).frames_path("a.mp4").stat().st_mtime_ns == before


def test_a_changed_byte_is_an_error_on_load_and_mended_by_the_data_stage(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    index = build(root, ["a.mp4"])
    damaged = bytearray(index.frames_path("a.mp4").read_bytes())
    damaged[-1] ^= 1
    index.frames_path("a.mp4").write_bytes(damaged)
    with pytest.raises(FrameCacheError, match="damaged"):
        index.load("a.mp4")
    assert np.array_equal(build(root, ["a.mp4"]).load("a.mp4")[0], noise())


def test_of_a_folder_that_was_there_before_nothing_is_cleared(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    home = root.parent / "cache"
    users = [".ssh", ".config", HALF]
    for name in users:
        (home / name).mkdir(parents=True)
        (home / name / "kept").touch()
        os.utime(home / name, (0, 0))
    index = build(root, ["a.mp4"])
    assert index.load("a.mp4")
    assert all((home / name / "kept").exists() for name in users)


def test_of_a_cache_of_ours_only_what_is_half_written_for_a_day_goes(root: Path) -> None:
    write_lossless(root / "a.mp4", noise(), Fraction(2))
    cache = build(root, []).cache
    for name in (".ssh", HALF, HALF.replace("0", "1")):
        (cache / name).mkdir()
    for name in (".ssh", HALF):
        os.utime(cache / name, (0, 0))
    build(root, ["a.mp4"]).load("a.mp4")
    assert not (cache / HALF).exists()
    assert (cache / ".ssh").exists() and (cache / HALF.replace("0", "1")).exists()


def test_an_entry_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FrameCacheError, match="no frame cache entry"):
        load_entry(tmp_path)


# --- clips that can't be read ---


def spoil(root: Path) -> dict[str, str]:
    """Write one clip of each bad kind; return what its reason must say."""
    good = write_h264(root / "good.mp4", noise(16)).read_bytes()
    (root / "empty.mp4").write_bytes(b"")
    (root / "cut.mp4").write_bytes(good[: len(good) // 2])
    (root / "text.mp4").write_text("not a video")
    (root / "folder.mp4").mkdir()
    (root.parent / "outside.mp4").write_bytes(good)
    (root / "link.mp4").symlink_to(root.parent / "outside.mp4")
    write_lossless(root / "one.mp4", noise(1), Fraction(2))
    write_audio(root / "sound.wav")
    return {
        "empty.mp4": "zero bytes",
        "cut.mp4": "InvalidDataError",
        "text.mp4": "InvalidDataError",
        "folder.mp4": "not a file",
        "missing.mp4": "is missing",
        "link.mp4": "leads out",
        "../outside.mp4": "leads out",
        str(root.parent / "outside.mp4"): "leads out",
        "one.mp4": "holds 1 frame",
        "sound.wav": "no video stream",
    }


def test_bad_clips_are_quarantined_with_their_reason_and_the_rest_goes_on(root: Path) -> None:
    bad = spoil(root)
    index = build(root, ["good.mp4", *bad])
    assert list(index.clips) == ["good.mp4"]
    reasons = dict(index.quarantined)
    assert reasons.keys() == bad.keys()
    assert [clip for clip, words in bad.items() if words not in reasons[clip]] == []
    with pytest.raises(FrameCacheError, match="zero bytes"):
        index.load("empty.mp4")


def test_too_many_bad_clips_stop_the_stage_and_are_listed(root: Path) -> None:
    bad = spoil(root)
    with pytest.raises(QuarantineError, match=r"10 of 11 clips(?s:.*)cut\.mp4"):
        build(root, ["good.mp4", *bad], max_quarantined=0.5)


@pytest.mark.parametrize("sixteenth", range(1, 16))
def test_a_clip_truncated_anywhere_is_quarantined(root: Path, sixteenth: int) -> None:
    whole = write_h264(root / "whole.mp4", noise(16, 64, 64))
    with (
        av.open(str(whole)) as source,
        av.open(str(root / "front.mp4"), "w", options={"movflags": "faststart"}) as front,
    ):
        stream = front.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                front.mux(packet)
    data = (root / "front.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(data[: len(data) * sixteenth // 16])
    with pytest.raises(ClipError):
        decode(root, video("cut.mp4"), SPEC)


def test_a_worker_that_hangs_or_dies_costs_one_job() -> None:
    dies, hangs = "__import__('os')._exit(7)", "__import__('time').sleep(60)"
    outcomes = dict(isolated_map(eval, ["1 + 1", dies, hangs, "2 + 2"], workers=2, seconds=5))
    assert outcomes["1 + 1"] == 2 and outcomes["2 + 2"] == 4
    assert outcomes[dies] == Failed("its process died (exit code 7)")
    assert outcomes[hangs] == Failed("took longer than 5 s")
