"""What a stage leaves: hashed once, and checkable without us."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.plan.outputs import (
    LISTING,
    hash_outputs,
    list_outputs,
    parse_listing,
)


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a b.mp4").write_bytes(b"a" * 5000)
    (tmp_path / "train.json").write_text("{}")
    (tmp_path / "last").symlink_to("clips")
    for noise in (".lock", "progress.jsonl", "logs/attempt_1.log", "tensorboard/events"):
        (tmp_path / noise).parent.mkdir(exist_ok=True)
        (tmp_path / noise).write_text("noise")
    outputs, text = hash_outputs(tmp_path)
    assert (outputs.files, outputs.bytes) == (2, 5002)
    (tmp_path / LISTING).write_text(text)
    return tmp_path


def test_sha256sum_agrees(stage: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", LISTING], cwd=stage, check=True)


def test_only_results_are_listed(stage: Path) -> None:
    names = [path.relative_to(stage).as_posix() for path in list_outputs(stage)]
    assert names == ["clips/a b.mp4", "train.json"]


def test_files_that_were_given_are_no_outputs(stage: Path) -> None:
    outputs, text = hash_outputs(stage, {stage / "train.json"})
    assert outputs.files == 1 and "train.json" not in text


def test_the_sum_tells_contents_apart(stage: Path) -> None:
    before, _ = hash_outputs(stage)
    (stage / "clips" / "a b.mp4").write_bytes(b"b" * 5000)
    after, _ = hash_outputs(stage)
    assert before.sha256 != after.sha256


@pytest.mark.parametrize("name", ["a\nb", "c\u2028d", "e\\nf", "\\g", "h\x85i", "j\x0bk", "l  m"])
def test_odd_names_are_listed_as_sha256sum_reads_them(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x")
    _, text = hash_outputs(tmp_path)
    (tmp_path / LISTING).write_text(text)
    subprocess.run(["sha256sum", "--check", "--strict", LISTING], cwd=tmp_path, check=True)
    assert list(parse_listing(text)) == [name]
