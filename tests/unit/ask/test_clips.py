"""What a user may name as a clip, and what is said about what can't be shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from web import Web

from data_builders.decoding import write_lossless
from data_builders.specs import FrameSpec
from orchestrator.ask import clips
from orchestrator.ask.errors import AskError

SPEC = FrameSpec(fps=2.0, min_frames=2, max_frames=4, min_pixels=784, max_pixels=3136)


def write_clip(path: Path, frames: int = 8, fps: int = 4) -> None:
    pixels = np.random.default_rng(frames).integers(0, 256, (frames, 56, 56, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_lossless(path, pixels, Fraction(fps))


def recipe(cache: Path) -> Any:
    data = SimpleNamespace(cache_dir=str(cache), workers=1)
    return SimpleNamespace(data=data, eval_frames=SPEC)


def test_a_folder_yields_its_clips_sorted_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/c.MOV", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with clips.open_clips(str(tmp_path)) as (root, names):
        assert (root, names) == (tmp_path.resolve(), ["a/c.MOV", "b.mp4"])


def test_a_link_is_the_clip_that_it_points_to(tmp_path: Path) -> None:
    write_clip(tmp_path / "there" / "clip.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "there" / "clip.mp4")
    with clips.open_clips(str(tmp_path / "link.mp4")) as (root, names):
        shown, refused = clips.sample(root, names, recipe(tmp_path / "cache"))
    assert not refused and shown["clip.mp4"].meta.source_frames == 8


@pytest.mark.parametrize(
    ("name", "said"), [("gone.mp4", "no clip at"), (".", "no clips in this folder")]
)
def test_nothing_to_show_is_said(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AskError, match=said), clips.open_clips(name):
        pass


def test_times_are_those_of_the_sampled_frames(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", frames=9, fps=4)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    shown, refused = clips.sample(tmp_path, ["clip.mp4", "bad.mp4"], recipe(tmp_path / "cache"))
    assert shown["clip.mp4"].meta.indices == (0, 3, 5, 8)
    assert shown["clip.mp4"].times == pytest.approx((0.0, 0.75, 1.25, 2.0))
    assert "InvalidDataError" in refused["bad.mp4"]


# --- from the network ---


def test_an_address_is_fetched_and_kept_until_the_end(web: Web, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4")
    web.pages["/a/clip.mp4"] = (tmp_path / "clip.mp4").read_bytes()
    with clips.open_clips(web.url + "/a/clip.mp4?token=1") as (root, names):
        assert names == ["clip.mp4"]
        assert (root / "clip.mp4").read_bytes() == web.pages["/a/clip.mp4"]
    assert not root.exists()


def test_an_address_that_fails_is_said(web: Web, tmp_path: Path) -> None:
    with pytest.raises(AskError, match="404"):
        clips.download(web.url + "/none.mp4", tmp_path)
    with pytest.raises(AskError, match="can't be fetched"):
        clips.download("http://127.0.0.1:9/clip.mp4", tmp_path)
    with pytest.raises(AskError, match="can't be fetched"):
        clips.download("http://:::/clip.mp4", tmp_path)


@pytest.mark.parametrize("announced", [True, False])
def test_a_huge_clip_is_refused_before_it_fills_the_disk(
    web: Web, tmp_path: Path, announced: bool
) -> None:
    web.pages["/huge.mp4"], web.announce = b"x" * 200_000, announced
    with pytest.raises(AskError, match="larger than 0 MB"):
        clips.download(web.url + "/huge.mp4", tmp_path, most=100_000)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert sum(sizes) < 200_000 if announced else sum(sizes) <= 200_000
