"""`data recipe=camreasoner_7b` from downloads that are there already and a teacher's server."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from data_builders import catalogue
from data_builders.decoding import write_lossless
from data_builders.fetch import LISTING
from data_builders.sample import read_samples
from data_builders.source_specs import Repository
from orchestrator.plan.stage import ROOT

sys.path.append(str(ROOT / "tests" / "unit" / "data_builders"))
from fake_server import FakeServer, written


@pytest.fixture
def teacher() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.reply = lambda body: "A" if body["model"] == "judge" else written(body)
        yield fake


def fetched(folder: Path, repository: Repository) -> None:
    """Mark `folder` as a complete download."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    listing = {"repository": repository.model_dump(mode="json"), "commit": "c", "sizes": sizes}
    (folder / LISTING).write_text(json.dumps(listing))


def annotate(folder: Path, clips: tuple[str, str]) -> None:
    pair = {
        "pos_text": "The camera pans left.",
        "neg_text": "The camera pans right.",
        "pos_video": clips[0],
        "neg_video": clips[1],
    }
    row = {"image": clips[0], "question": "Does the camera pan to the left?", "label": "Yes"}
    for name, line in (
        ("binary_classification/Pan_Left.jsonl", row),
        ("vqa_and_retrieval/has_motion/pan.jsonl", pair),
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(json.dumps(line) + "\n")


def downloads(root: Path) -> Path:
    """What fetching leaves on disk, with four clips instead of thousands."""
    home = root / "downloads" / "camerabench"
    (home / "test").mkdir(parents=True)
    (home / "downloads").mkdir()
    with zipfile.ZipFile(home / "downloads" / "videos.zip", "w") as zipped:
        for number, name in enumerate(("a.mp4", "b.mp4", "x.mp4", "y.mp4")):
            pixels = np.random.default_rng(number).integers(0, 256, (8, 56, 56, 3), dtype=np.uint8)
            write_lossless(home / "test" / name, pixels, Fraction(2))
            if name < "c":
                zipped.write(home / "test" / name, f"videos/{name}")
                (home / "test" / name).unlink()
    fetched(home / "test", catalogue.CAMERABENCH_TEST_CLIPS)
    fetched(home / "downloads", catalogue.CAMERABENCH_TRAIN_CLIPS)
    annotate(home / "annotations" / "camerabench" / "data", ("x.mp4", "y.mp4"))
    fetched(home / "annotations", catalogue.CAMERABENCH_ANNOTATIONS)
    annotate(root / "training", ("a.mp4", "b.mp4"))
    return root / "downloads"


def test_annotations_become_the_three_sets_of_questions(
    tmp_path: Path, teacher: FakeServer
) -> None:
    arguments = [
        "recipe=examples/recipes/more_traces.yaml",
        f"runs_dir={tmp_path / 'runs'}",
        "data.sources=[camerabench]",
        f"data.camerabench.train_annotations={tmp_path / 'training'}",
        f"data.download_dir={downloads(tmp_path)}",
        f"data.cache_dir={tmp_path / 'cache'}",
        "data.workers=1",
        f"data.trajectories.teacher.base_url={teacher.url}",
        f"data.trajectories.judge.base_url={teacher.url}",
        "data.trajectories.judge.model=judge",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "data", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    out = tmp_path / "runs" / "more_traces" / "data"
    rows = {use: read_samples(out / f"{use}.parquet") for use in ("sft", "rl", "test")}
    assert {use: len(found) for use, found in rows.items()} == {"sft": 1, "rl": 3, "test": 3}
    assert all((out / sample.clip).is_file() for found in rows.values() for sample in found)
    summary = json.loads((out / "trajectories" / "summary.json").read_text())
    assert summary["asked"] == 3 and summary["rejected"] == {"judge": 2}
    assert json.loads((out / "audit.json").read_text())["contamination"]["test_questions"] == 3
