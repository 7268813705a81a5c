from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data_builders import shotbench
from data_builders.annotations import AnnotationsError

ROW: dict[str, Any] = {
    "index": "7",
    "type": '["video"]',
    "path": "['video/A1.mp4']",
    "question": "What's the camera movement in this movie shot?",
    "options": '{"A": "Pan left", "B": "Zoom in", "C": "Static", "D": "Tilt \\"up\\""}',
    "answer": "C",
    "category": "camera movement",
}


def write_tsv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROW), delimiter="\t", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_published_rows_are_counted_by_dimension(refined_tsv: Path) -> None:
    samples = shotbench.questions(refined_tsv)
    assert len(samples) == 3572
    assert Counter(s.category for s in samples) == shotbench.COUNTS
    assert Counter(s.media[0].kind for s in samples) == {"image": 3108, "video": 464}
    moves = shotbench.camera_movement(samples)
    assert Counter(s.answer for s in moves) == {"A": 105, "B": 115, "C": 124, "D": 120}
    assert len({s.clip for s in moves}) == 464


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    (sample,) = shotbench.questions(write_tsv(tmp_path / "t.tsv", [ROW]))
    assert sample.id == "shotbench_7"
    assert sample.clip == "shotbench/video/A1.mp4"
    assert sample.options == ("Pan left", "Zoom in", "Static", 'Tilt "up"')
    assert sample.answer_text == "Static"
    assert shotbench.camera_movement([sample]) == [sample]


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": "E"},
        {"options": '{"B": "x", "A": "y", "C": "z"}'},
        {"options": "A or B"},
        {"path": "['a', 'b']"},
        {"path": "__import__('os').getcwd()"},
        {"index": "seven"},
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, changes: dict[str, str]) -> None:
    path = write_tsv(tmp_path / "t.tsv", [ROW, {**ROW, **changes}])
    with pytest.raises(AnnotationsError, match="row 2 is no question"):
        shotbench.questions(path)


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("question\tanswer\nWhy?\tA\n")
    with pytest.raises(AnnotationsError, match="row 1"):
        shotbench.questions(tmp_path / "t.tsv")


def test_an_absent_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="run the data stage"):
        shotbench.questions(tmp_path / "t.tsv")
