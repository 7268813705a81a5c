from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from data_builders import shotqa
from data_builders.annotations import AnnotationsError
from data_builders.media import image

ASKED = (
    "<image>Question: What's the lighting type of this shot?\nOptions:\nA. Sunny\nB. LED\n"
    "Please select the most likely answer from the options above."
)


def chat(answer: str | None, asked: str = ASKED, **changes: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": asked}]
    if answer is not None:
        turns.append({"role": "assistant", "content": answer})
    return {"messages": turns, "images": ["images/x.jpg"], **changes}


@pytest.mark.parametrize(
    "row",
    [
        *(chat(answer) for answer in ("B", "B. LED", "LED", "<think>?</think><answer>B</answer>")),
        chat(None, solution="<answer>B</answer>"),
        chat(None, solution="B"),
    ],
)
def test_answers_are_letters_or_texts_of_a_turn_or_a_solution(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n\n")
    (sample,) = shotqa.questions(tmp_path / "q.jsonl", "sft")
    assert sample.question == "What's the lighting type of this shot?"
    assert (sample.options, sample.answer) == (("Sunny", "LED"), "B")
    assert (sample.id, sample.category, sample.split) == ("shotqa_sft_1", "lighting_type", "train")
    assert sample.media == (image("shotqa/images/x.jpg"),)


def test_open_questions_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [chat("It is soft.", "<image>Describe the light."), chat("A")]
    (tmp_path / "q.json").write_text(json.dumps(rows))
    with caplog.at_level(logging.INFO):
        assert [s.id for s in shotqa.questions(tmp_path / "q.json", "rl")] == ["shotqa_rl_2"]
    assert "left out 1 open questions of 2" in caplog.text


@pytest.mark.parametrize(
    "row", [{}, chat("C"), chat(""), chat(None), chat("A", images=[]), chat("A", videos=["v.mp4"])]
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    (tmp_path / "q.jsonl").write_text(f"{json.dumps(chat('A'))}\n{json.dumps(row)}")
    with pytest.raises(AnnotationsError, match="row 2 is no question"):
        shotqa.questions(tmp_path / "q.jsonl", "sft")


@pytest.mark.parametrize("content", ["[", "[1", "{"])
def test_damage_is_an_error_of_ours(tmp_path: Path, content: str) -> None:
    (tmp_path / "q.json").write_text(content)
    with pytest.raises(AnnotationsError):
        shotqa.questions(tmp_path / "q.json", "sft")


def test_an_absent_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="run the data stage"):
        shotqa.questions(tmp_path / "q.jsonl", "sft")
