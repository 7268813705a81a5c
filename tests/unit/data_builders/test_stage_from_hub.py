"""The data stage as a user runs it, from a Hub that cuts connections, and again without one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from fake_hub import FakeHub

from data_builders.catalogue import SHOTBENCH
from data_builders.decoding import decode, write_lossless
from data_builders.media import whole
from data_builders.sample import read_samples
from data_builders.specs import FrameSpec

SPEC = FrameSpec(fps=2, min_frames=2, max_frames=8, min_pixels=784, max_pixels=56 * 56)
HEAD = "index\ttype\tpath\tquestion\toptions\tanswer\tcategory\n"


def question(number: int, category: str, kind: str, path: str) -> str:
    options = json.dumps({"A": "Pan left", "B": "Zoom in"})
    return f"{number}\t[\"{kind}\"]\t['{path}']\tWhich?\t{options}\tB\t{category}\n"


def published(root: Path) -> dict[str, bytes]:
    frames = np.random.default_rng(0).integers(0, 256, (8, 56, 56, 3), dtype=np.uint8)
    write_lossless(root / "0.mp4", frames, Fraction(2))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tarred:
        tarred.add(root / "0.mp4", "videos/0.mp4")
    rows = question(0, "camera movement", "video", "videos/0.mp4")
    rows += question(1, "lighting", "image", "images/1.jpg")
    return {"test.tsv": (HEAD + rows).encode(), "videos.tar": archive.getvalue()}


def stage(root: Path, name: str, **environ: str) -> tuple[int, str]:
    nothing: dict[str, Any] = dict.fromkeys(
        ("weights", "camerabench", "shotqa", "folder", "files", "synthetic", "teaching")
    )
    config = {
        **nothing, "sources": ["shotbench_camera_movement"], "tags": ["answer"],
        "downloads": str(root / "downloads"), "max_quarantined": 0.0, "workers": 1, "seed": 0,
        "out": str(root / name),
    }  # fmt: skip
    (root / f"{name}.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "data_builders.build", str(root / f"{name}.json")],
        env={**os.environ, "HF_HOME": str(root / "home"), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def test_questions_and_clips_come_from_the_hub_and_then_from_disk(tmp_path: Path) -> None:
    with FakeHub(SHOTBENCH.repo, published(tmp_path), SHOTBENCH.revision) as hub:
        hub.faults["videos.tar"] = ["cut"]
        code, said = stage(tmp_path, "first", HF_ENDPOINT=hub.url)
    assert code == 0, said
    (sample,) = read_samples(tmp_path / "first" / "test.parquet")
    assert len(decode(tmp_path / "first", whole(sample.clip), SPEC).frames) == 8
    assert sum(path == "/cdn/videos.tar" for path, _ in hub.requests) == 2
    code, said = stage(tmp_path, "second", HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1")
    assert code == 0, said
    assert read_samples(tmp_path / "second" / "test.parquet") == [sample]


def test_without_a_hub_one_line_says_what_to_do(tmp_path: Path) -> None:
    code, said = stage(tmp_path, "none", HF_HUB_OFFLINE="1")
    assert code == 1
    assert "HF_HUB_OFFLINE is set" in said and "Traceback" not in said
