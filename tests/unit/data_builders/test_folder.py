from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_builders import folder
from data_builders.camerabench import AnnotationsError
from data_builders.sample import Sample

HEAD = "clip,question,options,answer,category,split,observation,think\n"


def read(tmp_path: Path, text: str, name: str = "q.csv") -> list[Sample]:
    (tmp_path / name).write_text(text)
    return folder.questions(tmp_path / name)


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    table = (
        'a/b.mp4,"Left, or right?",left | right,right,pan,,,\n'
        "c.mp4,Still?,Yes|No,B,,test,,\n"
        "d.mp4,Still?,Yes|No,Yes,,,It holds.,So it is.\n"
    )
    from_csv = read(tmp_path, HEAD + table)
    rows = [
        {"clip": "a/b.mp4", "question": "Left, or right?", "options": ["left", "right"],
         "answer": "B", "category": "pan"},
        {"clip": "c.mp4", "question": "Still?", "options": ["Yes", "No"], "answer": "No",
         "split": "test"},
        {"clip": "d.mp4", "question": "Still?", "options": ["Yes", "No"], "answer": "A",
         "observation": "It holds.", "think": "So it is."},
    ]  # fmt: skip
    assert read(tmp_path, "\n".join(map(json.dumps, rows)), "q.jsonl") == from_csv
    assert [(s.id, s.clip, s.answer) for s in from_csv] == [
        ("folder_1", "folder/a/b.mp4", "B"),
        ("folder_2", "folder/c.mp4", "B"),
        ("folder_3", "folder/d.mp4", "A"),
    ]
    assert [s.task for s in from_csv] == ["multiple_choice", "binary", "binary"]
    assert [s.split for s in from_csv] == ["train", "test", "train"]
    assert [s.category for s in from_csv] == ["pan", "folder", "folder"]


def test_a_question_without_options_has_its_answer_and_task(tmp_path: Path) -> None:
    table = "clip,question,options,answer,task\na.mp4,How far?,,3.5,metres\n"
    (sample,) = read(tmp_path, table)
    assert (sample.options, sample.answer, sample.task) == ((), "3.5", "metres")


@pytest.mark.parametrize(
    "row",
    [
        "a.mp4,Why?,left|right,up,,,,",
        "a.mp4,Why?,left,left,,,,",
        "a.mp4,,left|right,left,,,,",
        ",Why?,left|right,left,,,,",
        "a.mp4,Why?,left|right,left,,dev,,",
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str) -> None:
    good = "a.mp4,Why?,left|right,left,,,,\n"
    with pytest.raises(AnnotationsError, match="row 2 is no question"):
        read(tmp_path, HEAD + good + row)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("{", "q.jsonl", "neither CSV"),
        ("clip,question,options,answer,colour\na.mp4,?,x|y,x,red\n", "q.csv", "colour"),
        ("id,clip,question,options,answer\n1,a,?,x|y,x\n1,a,?,x|y,x\n", "q.csv", "occurs twice"),
        (b"\xff\xfe".decode("latin1") + "\0", "q.jsonl", "neither CSV"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(AnnotationsError, match=words):
        read(tmp_path, text, name)


def test_an_absent_file_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"data\.folder\.questions"):
        folder.questions(tmp_path / "q.csv")
