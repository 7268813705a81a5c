from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders import camerabench
from data_builders.annotations import AnnotationsError
from data_builders.blob import git_blob_sha1
from data_builders.motion import family

COUNTS = {
    "dolly_in": 549, "dolly_out": 549, "pedestal_up": 430, "pedestal_down": 430, "truck_right": 487,
    "truck_left": 488, "zoom_in": 450, "zoom_out": 452, "pan_right": 512, "pan_left": 512,
    "tilt_up": 458, "tilt_down": 456, "roll_clockwise": 470, "roll_counterclockwise": 470,
    "static": 966,
}  # fmt: skip
SKILLS = {
    "complex_description": 4284, "has_motion": 4044, "motion_direction": 1788,
    "tracking_shot": 1320, "motion_and_steadiness": 1184, "only_motion": 556,
    "motion_speed": 348, "scene_dynamics": 348, "confusable_motion": 300,
}  # fmt: skip


def _lines(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _annotations(folder: Path, pairs: int = 3) -> Path:
    row = {"image": "a.mp4", "question": "Does it pan?", "label": "Yes", "label_name": "pan"}
    _lines(folder / "binary_classification/Pan_Left.jsonl", [row, {**row, "label": "No"}])
    texts = {"pos_text": "It pans left.", "neg_text": "It pans right."}
    _lines(
        folder / "vqa_and_retrieval/motion_direction/pan_left_vs_pan_right.jsonl",
        [{**texts, "pos_video": f"l{i}.mp4", "neg_video": f"r{i}.mp4"} for i in range(pairs)],
    )
    return folder


def test_binary_of_the_published_annotations_is_the_released_file(published: Path) -> None:
    samples = camerabench.binary(published / "camerabench")
    assert len(samples) == 7679
    assert Counter(s.category for s in samples) == COUNTS
    assert Counter(s.answer_text for s in samples) == {"No": 6737, "Yes": 942}
    camerabench.verify_released(samples, camerabench.BINARY_BLOB)


def test_vqa_as_released_is_the_released_file_with_its_labels(published: Path) -> None:
    samples = camerabench.vqa_as_released(published / "camerabench")
    assert len(samples) == 14_172
    assert Counter(s.category for s in samples) == SKILLS
    assert len(camerabench.released_json(samples)) == 8_958_912
    words = Counter(("'yes'" in s.question, s.answer) for s in samples)
    assert words == {(True, "A"): 7086, (False, "B"): 7086}
    assert {s.provenance["literal_answer"] for s in samples} == {"A"}


def test_vqa_yes_no_is_the_deleted_file_with_right_labels(published: Path) -> None:
    samples = camerabench.vqa_yes_no(published / "camerabench")
    assert Counter(s.answer_text for s in samples) == {"Yes": 7086, "No": 7086}
    assert Counter(s.category for s in samples) == SKILLS
    pairs = Counter(s.provenance["pair"] for s in samples)
    assert len(pairs) == 7086 and set(pairs.values()) == {2}


def test_vqa_match_of_the_published_annotations_is_balanced(published: Path) -> None:
    samples = camerabench.vqa_match(published / "camerabench")
    assert len(samples) == 7086
    assert len({s.id for s in samples}) == 7086
    assert Counter(s.answer for s in samples) == {"A": 3543, "B": 3543}
    assert Counter(s.category for s in samples) == {k: n // 2 for k, n in SKILLS.items()}


@given(seed=st.integers(0, 2**32), likes_left=st.booleans())
def test_a_text_only_rule_is_right_on_half_of_vqa_match(
    tmp_path_factory: pytest.TempPathFactory, seed: int, likes_left: bool
) -> None:
    samples = camerabench.vqa_match(_annotations(tmp_path_factory.mktemp("cb"), 5), seed=seed)
    wanted = "It pans left." if likes_left else "It pans right."
    assert sum(s.answer_text == wanted for s in samples) == 5
    seen = defaultdict(set)
    for sample in samples:
        seen[sample.provenance["pair"]].add((sample.options, sample.question))
    assert all(len(texts) == 1 for texts in seen.values())


def test_vqa_match_labels_follow_the_clip_and_the_order_follows_the_seed(tmp_path: Path) -> None:
    annotations = _annotations(tmp_path, 40)
    samples = camerabench.vqa_match(annotations)
    for sample in samples:
        left = Path(sample.clip).name.startswith("l")
        assert sample.answer_text == ("It pans left." if left else "It pans right.")
    assert samples == camerabench.vqa_match(annotations)
    orders = {tuple(s.options for s in camerabench.vqa_match(annotations, seed=n)) for n in (0, 1)}
    assert len(orders) == 2
    assert len({s.options for s in samples}) == 2


def test_other_annotations_than_the_released_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="12 questions hash to"):
        camerabench.vqa_as_released(_annotations(tmp_path))


def test_the_hash_is_gits(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"camera\n")
    said = subprocess.run(
        ["git", "hash-object", str(tmp_path / "f")], capture_output=True, text=True, check=True
    )
    assert git_blob_sha1(b"camera\n") == said.stdout.strip()


def test_absent_annotations_say_where_and_how_to_mend(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="run the data stage"):
        camerabench.binary(tmp_path)


@pytest.mark.parametrize(
    "bad", ["{", '{"image": "a.mp4", "question": "q", "label": "Maybe"}', "[]"]
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, bad: str) -> None:
    file = _annotations(tmp_path) / "binary_classification/Pan_Left.jsonl"
    file.write_text(file.read_text() + bad + "\n")
    with pytest.raises(AnnotationsError, match=r"Pan_Left\.jsonl, line 3"):
        camerabench.binary(tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Does the camera only move forward (not zooming in) with respect to the ground?", "track"),
        ("Does the camera move rightward in the scene?", "track"),
        ("Does the camera physically move backward without zooming out?", "track"),
        ("Does the camera zoom in without physically moving forward?", "zoom"),
        ("a dolly zoom effect with the camera moving backward and zooming in", "zoom"),
        ("Is the camera free from any clockwise rolling motion?", "rotation"),
        ("Does the camera pan to track the subjects as they move?", "rotation"),
        ("Is the camera completely still without any motion or shaking?", "static"),
        ("Without any zooming, the camera pans.", "rotation"),
        ("Does (not zooming in) the camera tilt?", "rotation"),
        ("Does the video contain noticeable motion blur?", "static"),
        ("Which of the following options fits? The camera tilts up.", "rotation"),
    ],
)
def test_the_family_is_that_of_the_first_motion_named(text: str, wanted: str) -> None:
    assert family(text) == wanted
