from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_builders import motionbench
from data_builders.annotations import AnnotationsError

ASKED = "How does the camera\nmove?\nA. It pans left.\nB. It zooms in.\nC. It holds still."


def video(*answers: str, kind: str = "Camera Motion", asked: str = ASKED) -> dict[str, Any]:
    qa = [{"uid": f"u{n}", "question": asked, "answer": a} for n, a in enumerate(answers)]
    return {"key": "k", "video_path": "k.mp4", "question_type": kind, "qa": qa}


def written(tmp_path: Path, *rows: object) -> Path:
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "m.jsonl"


def test_camera_motion_questions_with_answers_become_samples(tmp_path: Path) -> None:
    rows = video("B", "NA"), video("A", kind="Repetition Count")
    (sample,) = motionbench.questions(written(tmp_path, *rows))
    assert sample.question == "How does the camera\nmove?"
    assert sample.options == ("It pans left.", "It zooms in.", "It holds still.")
    assert (sample.id, sample.answer, sample.split) == ("motionbench_u0", "B", "test")
    assert (sample.category, sample.clip) == ("camera_motion", "motionbench/clips/k.mp4")


def test_other_kinds_on_demand(tmp_path: Path) -> None:
    path = written(tmp_path, video("A", kind="Location-related Motion"))
    (sample,) = motionbench.questions(path, None)
    assert sample.category == "location_related_motion"


@pytest.mark.parametrize("row", [{}, video("D"), video("A", asked="Which?"), {"qa": 1}])
def test_a_bad_line_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(AnnotationsError, match="line 2 is no question"):
        motionbench.questions(written(tmp_path, video("A"), row))


def test_an_absent_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="run the data stage"):
        motionbench.questions(tmp_path / "m.jsonl")
