"""The recipe's published questions, from servers that speak both homes' protocols to the trainers.

The files are stand-ins in the released formats: what the reader takes is what the released loaders
take (LLaMA-Factory's sharegpt, EasyR1's JSON), and clips lie deeper than their rows say.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_github import FakeGitHub
from fake_hub import FakeHub

from data_builders import catalogue
from data_builders.blob import git_blob_sha1
from data_builders.decoding import write_lossless
from data_builders.prepare import PrepareConfig, prepare
from data_builders.sample import read_samples
from data_builders.source_specs import Repository
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe

ASK = "<video>\n{}\nOptions:\nA. Pan left\nB. Pan right\nPut your letter inside <answer> tags."
TOLD = (
    "<observation>It slides.</observation><think>As the ground-truth says.</think>"
    "<answer>B</answer>"
)
SFT, RL = "LLaMA-Factory/data/camerabench_sft.json", "EasyR1/camerabench_rl.json"
FRAMES = {"fps": 2, "min_frames": 2, "max_frames": 4, "min_pixels": 784, "max_pixels": 6400}


def clip(root: Path, seed: int) -> bytes:
    frames = np.random.default_rng(seed).integers(0, 256, (4, 56, 56, 3), dtype=np.uint8)
    write_lossless(root / f"{seed}.mp4", frames, Fraction(2))
    return (root / f"{seed}.mp4").read_bytes()


def released() -> dict[str, bytes]:
    """Both files, in the released formats."""
    sft = [
        {
            "messages": [
                {"role": "user", "content": ASK.format(f"Which way {n}?")},
                {"role": "assistant", "content": TOLD if n else TOLD.replace("As the", "So the")},
            ],
            "videos": [f"video/{n}.mp4"],
        }
        for n in range(2)
    ]
    rl = [
        {
            "problem": "Does the camera pan?", "answer": "A", "videos": [f"./video/{n}.mp4"],
            "data_type": "video", "problem_type": "multiple choice", "options": ["A. No", "B. Yes"],
        }
        for n in range(3)
    ]  # fmt: skip
    return {SFT: json.dumps(sft).encode(), RL: json.dumps(rl).encode(), "README.md": b"# x"}


def archive(root: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for number in range(3):
            zipped.writestr(f"cam/deep/{number}.mp4", clip(root, number))
    return packed.getvalue()


class BothHubs(FakeHub):
    """Training clips and test clips, from one server."""

    def __init__(self, train: FakeHub) -> None:
        self.train = train
        test = {"t.mp4": train.files.pop("t.mp4")}
        super().__init__(catalogue.CAMERABENCH_TEST_CLIPS.repo, test)

    def answer(self, request: Any) -> None:
        theirs = self.train.repo in request.path or request.path.endswith("videos.zip")
        (self.train.answer if theirs else super().answer)(request)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[FakeHub, FakeGitHub, dict[str, str]]]:
    """Both homes, and the environment that names them."""
    pair = {
        "pos_text": "pans left",
        "neg_text": "pans right",
        "pos_video": "t.mp4",
        "neg_video": "t.mp4",
    }
    row = {"image": "t.mp4", "question": "Does it pan?", "label": "No"}
    tests = {
        "camerabench/data/binary_classification/Pan_Left.jsonl": json.dumps(row).encode(),
        "camerabench/data/vqa_and_retrieval/has_motion/x.jsonl": json.dumps(pair).encode(),
    }
    spec = load_recipe("camreasoner_7b").data.files
    assert spec and isinstance(spec["camreasoning"].rows, Repository)
    rows, annotations = spec["camreasoning"].rows, catalogue.CAMERABENCH_ANNOTATIONS
    files = {"videos.zip": archive(tmp_path), "t.mp4": clip(tmp_path, 9)}
    with (
        FakeHub(catalogue.CAMERABENCH_TRAIN_CLIPS.repo, files) as train,
        BothHubs(train) as hub,
        FakeGitHub(rows.repo, rows.revision, released()) as github,
        FakeGitHub(annotations.repo, annotations.revision, tests) as other,
    ):
        github.also = other
        environ = {
            "HF_ENDPOINT": hub.url,
            "GITHUB_API_URL": github.url,
            "GITHUB_SERVER_URL": github.url,
        }
        yield train, github, environ


def stage(root: Path, environ: dict[str, str], *, pinned: bool = False) -> tuple[int, str, Path]:
    """The data stage of `camreasoner_7b` as the plan writes it, without ShotBench."""
    overrides = [
        "data.sources=[camreasoning,camerabench]", f"data.download_dir={root}/downloads",
        "data.workers=1",
    ]  # fmt: skip
    planned = make_plan(load_recipe("camreasoner_7b", overrides), root / "runs").stage("data")
    (text,) = planned.files.values()
    config = json.loads(text)
    if not pinned:
        blobs = {name: git_blob_sha1(released()[name]) for name in (SFT, RL)}
        config["files"]["camreasoning"]["rows"]["blobs"] = blobs
    planned.directory.mkdir(parents=True, exist_ok=True)
    (planned.directory / "data.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "data_builders.build", str(planned.directory / "data.json")],
        env={**os.environ, "HF_HOME": str(root / "home"), **environ},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout, planned.directory


def test_the_published_sets_come_by_hash_and_their_faults_are_told(
    tmp_path: Path, servers: tuple[FakeHub, FakeGitHub, dict[str, str]]
) -> None:
    hub, github, environ = servers
    hub.faults["videos.zip"], github.faults[RL] = ["cut"], ["cut", "503"]
    code, said, out = stage(tmp_path, environ)
    assert code == 0, said
    sft, rl, test = (read_samples(out / f"{use}.parquet") for use in ("sft", "rl", "test"))
    assert [(s.question, s.answer, s.think is None) for s in sft] == [
        ("Which way 0?", "B", False), ("Which way 1?", "B", False)
    ]  # fmt: skip
    assert [(s.options, s.answer) for s in rl] == [(("No", "Yes"), "A")] * 3
    assert len(test) == 3 and {s.split for s in test} == {"test"}
    assert all((out / s.clip).is_file() for s in (*sft, *rl, *test))
    assert "2 of 2 traces say that their writer was told the answer" in said
    assert "go on behind their options, left out: 'Put your letter" in said
    assert f"{catalogue.CAMERABENCH_TRAIN_CLIPS.repo} at {hub.commit}" in said
    code, said, again = stage(tmp_path, {**environ, "HF_HUB_OFFLINE": "1"})
    assert code == 0 and read_samples(again / "sft.parquet") == sft


def test_training_clips_that_are_test_clips_are_told_by_content(
    tmp_path: Path, servers: tuple[FakeHub, FakeGitHub, dict[str, str]]
) -> None:
    hub, _, environ = servers
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for number in range(3):
            zipped.writestr(f"{number}.mp4", clip(tmp_path, 9 if number == 0 else number))
    hub.files["videos.zip"] = packed.getvalue()
    code, said, _ = stage(tmp_path, environ)
    assert code == 0, said
    assert "camreasoning_sft/train: 1 of 2 questions show clips of the test split" in said


def test_another_file_than_the_recipes_is_refused(
    tmp_path: Path, servers: tuple[FakeHub, FakeGitHub, dict[str, str]]
) -> None:
    code, said, _ = stage(tmp_path, servers[2], pinned=True)
    assert code == 1 and "the recipe says e484a22e3ae11cbccfe22f2442a9a847b6733bcb" in said


@pytest.mark.parametrize("format", ["llamafactory", "verl", "easyr1"])
def test_every_trainer_is_given_them(
    tmp_path: Path, servers: tuple[FakeHub, FakeGitHub, dict[str, str]], format: str
) -> None:
    code, said, out = stage(tmp_path, servers[2])
    assert code == 0, said
    use = "sft" if format == "llamafactory" else "rl"
    config = PrepareConfig.model_validate({
        "format": format, "samples": {"train": out / f"{use}.parquet"}, "clips": out,
        "frames": FRAMES, "prompt": {}, "cache": tmp_path / "cache", "workers": 1,
        "max_quarantined": 0.0, "out": tmp_path / "prepared" / "given",
    })  # fmt: skip
    prepare(config)
    path = config.out / ("train.parquet" if format == "verl" else "train.json")
    rows = pq.read_table(path).to_pylist() if format == "verl" else json.loads(path.read_text())
    assert len(rows) == (2 if format == "llamafactory" else 3)
    text = json.dumps(rows[0])
    assert "<video>" in text and ("So the ground-truth" in text) == (format == "llamafactory")
    assert ("A. No" in text) == (format != "llamafactory")
