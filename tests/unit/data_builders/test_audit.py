from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders import camerabench, shotbench
from data_builders.audit import audit, audit_dataset, write_audit
from data_builders.media import video
from data_builders.rows import questions
from data_builders.sample import Sample


def _sample(number: int, answer: str = "A", **changes: object) -> Sample:
    return Sample.model_validate(
        {
            "id": str(number), "dataset": "d", "split": "test", "task": "binary", "category": "pan",
            "media": (video(f"d/test/{number}.mp4"),), "question": "Does it pan?",
            "options": ("No", "Yes"),
            "answer": answer, **changes,
        }
    )  # fmt: skip


def test_the_majority_of_the_binary_set_beats_every_published_model(published: Path) -> None:
    one = audit_dataset(camerabench.binary(published / "camerabench"))
    assert round(100 * one.majority_letter, 2) == 87.73
    assert one.answers == {"No": 6737, "Yes": 942}
    assert (one.questions, one.clips, one.distinct) == (7679, 969, 7679)


def test_the_released_vqa_set_is_answered_by_its_text(published: Path) -> None:
    samples = camerabench.vqa_as_released(published / "camerabench")
    result = audit(samples)
    one = result.datasets["camerabench_vqa_as_released/test"]
    assert one.text_only == one.letter_by_question == 1.0
    assert one.distinct == 7070
    assert any("100.0% right without looking at a clip" in f for f in result.findings)


def test_the_match_set_gives_its_text_nothing(published: Path) -> None:
    one = audit_dataset(camerabench.vqa_match(published / "camerabench"))
    assert one.text_only == one.majority_letter == one.letter_by_question == 0.5
    assert one.position_p == pytest.approx(1.0)


def test_shotbench_movements_are_guessed_by_their_frequency(refined_tsv: Path) -> None:
    one = audit_dataset(shotbench.camera_movement(shotbench.questions(refined_tsv)))
    assert one.questions == 464
    assert round(100 * one.majority_letter, 1) == 26.7
    assert one.most_frequent_option > 0.4


@given(st.lists(st.sampled_from("AB"), min_size=1, max_size=40))
def test_baselines_are_shares_and_include_the_majority(answers: list[str]) -> None:
    one = audit_dataset([_sample(n, a) for n, a in enumerate(answers)])
    assert one.majority_letter == max(answers.count("A"), answers.count("B")) / len(answers)
    assert one.majority_letter <= one.text_only <= 1
    assert min(one.letter_by_question, one.most_frequent_option) >= 0
    assert one.letters == {a: answers.count(a) for a in sorted(set(answers))}


def test_a_question_alone_of_its_kind_is_not_counted_as_known() -> None:
    one = audit_dataset([_sample(n, "AB"[n % 2], question=f"Question {n}?") for n in range(10)])
    assert one.letter_by_question == 0.5


def test_a_question_does_not_vouch_for_itself() -> None:
    assert audit_dataset([_sample(1), _sample(2)]).letter_by_question == 0.5
    assert audit_dataset([_sample(n) for n in range(3)]).letter_by_question == 1.0


def test_repeated_and_disagreeing_questions_are_counted() -> None:
    repeated = [_sample(1), _sample(1, "B", options=("Yes", "No")), _sample(2), _sample(2, "B")]
    one = audit_dataset(repeated)
    assert (one.questions, one.distinct, one.conflicting) == (4, 2, 1)


def test_a_favoured_position_is_found() -> None:
    options = ("w", "x", "y", "z")
    fair = [_sample(n, "ABCD"[n % 4], options=options) for n in range(200)]
    biased = [_sample(n, "A" if n % 2 else "BCD"[n % 3], options=options) for n in range(200)]
    assert audit_dataset(fair).position_p == pytest.approx(1.0)
    assert audit_dataset(biased).position_p < 0.001
    assert any("favour a position" in f for f in audit(biased).findings)


def test_every_released_trace_is_found_to_show_a_test_clip(published: Path) -> None:
    rows = json.loads((published / "camreasoner/eval_camerabench.json").read_text())
    traces = [
        _sample(
            n, row["solution"].removeprefix("<answer>")[0], dataset="traces", split="train",
            media=(video(f"camerabench/train/{Path(row['path']).name}"),), question=row["problem"],
            options=tuple(option[3:] for option in row["options"]),
        )
        for n, row in enumerate(rows)
    ]  # fmt: skip
    result = audit([*traces, *camerabench.vqa_as_released(published / "camerabench")])
    overlap = result.contamination.overlaps["traces/train"]
    assert (overlap.questions, overlap.on_test_clips, overlap.clips_by_name) == (138, 138, 130)
    assert overlap.same_question == 138
    assert any("all 138 questions show clips of the test split" in f for f in result.findings)


def test_traces_whose_writer_was_told_the_answer_are_counted(published: Path) -> None:
    samples = questions(published / "camreasoner/eval_camerabench.json", "traces", "sft", 0.0)
    one = audit_dataset(samples)
    assert (one.traces, one.betrayed) == (138, 22)
    assert "traces_sft/train: 22 of 138 traces say that" in " ".join(audit(samples).findings)


def _write(root: Path, clip: str, content: bytes) -> None:
    (root / clip).parent.mkdir(parents=True, exist_ok=True)
    (root / clip).write_bytes(content)


def test_a_renamed_test_clip_is_known_by_its_content(tmp_path: Path) -> None:
    test, copy = _sample(1), _sample(2, split="train", media=(video("other/train/copy.mp4"),))
    fresh = _sample(3, split="train", media=(video("other/train/fresh.mp4"),))
    for sample, content in ((test, b"same"), (copy, b"same"), (fresh, b"new")):
        _write(tmp_path, sample.clip, content)
    assert audit([test, copy, fresh]).contamination.overlaps["d/train"].on_test_clips == 0
    overlap = audit([test, copy, fresh], tmp_path).contamination.overlaps["d/train"]
    assert (overlap.on_test_clips, overlap.clips_by_name, overlap.clips_by_content) == (1, 0, 1)
    beside = _sample(4, split="train", media=(*fresh.media, *copy.media))
    overlap = audit([test, copy, fresh, beside], tmp_path).contamination.overlaps["d/train"]
    assert (overlap.on_test_clips, overlap.clips_by_content) == (2, 1)


def test_equal_names_in_different_sources_are_different_clips() -> None:
    train = _sample(2, split="train", media=(video("other/train/1.mp4"),))
    assert audit([_sample(1), train]).contamination.findings() == []


def test_a_missing_clip_is_an_error_not_a_gap(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"1\.mp4"):
        audit([_sample(1)], tmp_path)


def test_the_audit_is_written_whole(tmp_path: Path) -> None:
    result = audit([_sample(1), _sample(2, "B", split="train")])
    write_audit(tmp_path / "out/audit.json", result)
    written = json.loads((tmp_path / "out/audit.json").read_text())
    assert written["datasets"]["d/test"]["text_only"] == 1.0
    assert written["contamination"]["overlaps"]["d/train"]["on_test_clips"] == 0
    assert written["findings"] == list(result.findings)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["audit.json"]
