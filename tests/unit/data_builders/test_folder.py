from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_builders import folder
from data_builders.annotations import AnnotationsError
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
        ("{", "q.jsonl", "is no .jsonl file that can be read"),
        ("clip,question,options,answer,colour\na.mp4,?,x|y,x,red\n", "q.csv", "colour"),
        ("id,clip,question,options,answer\n1,a,?,x|y,x\n1,a,?,x|y,x\n", "q.csv", "occurs twice"),
        (b"\xff\xfe".decode("latin1") + "\0", "q.jsonl", "is no .jsonl file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(AnnotationsError, match=words):
        read(tmp_path, text, name)


@pytest.mark.parametrize(
    ("options", "answer", "texts", "letter"),
    [
        ("B. Right|A. Left", "A", ("Left", "Right"), "A"),
        ("(B) Right|(A) Left", "Right", ("Left", "Right"), "B"),
        ("A. Left|B. Right", "B. Right", ("Left", "Right"), "B"),
        ("Backlight|Close up", " Backlight ", ("Backlight", "Close up"), "A"),
        ("Backlight|Close up", "close up.", ("Backlight", "Close up"), "B"),
    ],
)
def test_options_and_answers_are_read_as_a_person_means_them(
    tmp_path: Path, options: str, answer: str, texts: tuple[str, ...], letter: str
) -> None:
    (sample,) = read(tmp_path, f'clip,question,options,answer\na.mp4,Q?,"{options}","{answer}"\n')
    assert (sample.options, sample.answer) == (texts, letter)


@pytest.mark.parametrize(
    ("options", "answer", "words"),
    [
        ("left|right|left", "left", "'left' stands there twice"),
        ("left|Left", "left", "stands there twice"),
        ("left||right", "left", "blank"),
        ("|".join(f"o{n}" for n in range(27)), "o3", "there are letters for 26"),
        ("A. left|C. right", "A", "letter them A, B, C"),
        ("A. left|A. right", "A", "letter them A, B, C"),
        ("B|A", "A", "names not just one"),
        ("left|right", "left or right", "names not just one"),
    ],
)
def test_options_that_contradict_are_refused_with_the_remedy(
    tmp_path: Path, options: str, answer: str, words: str
) -> None:
    with pytest.raises(AnnotationsError, match=f"row 1 .*{words}") as raised:
        read(tmp_path, f"clip,question,options,answer\na.mp4,Q?,{options},{answer}\n")
    assert "pydantic" not in str(raised.value) and "input_value" not in str(raised.value)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_separator_a_mark_in_front_and_a_placeholder_are_read(
    tmp_path: Path, separator: str
) -> None:
    row = ["a.mp4", "<video> Which\u2028way?", "left|right", "left"]
    lines = "\n".join(map(separator.join, (["clip", "question", "options", "answer"], row)))
    (tmp_path / "q.csv").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    (tmp_path / "q.jsonl").write_bytes(
        b"\xef\xbb\xbf"
        + json.dumps(
            {"clip": row[0], "question": row[1], "options": ["left", "right"], "answer": row[3]},
            ensure_ascii=False,
        ).encode()
    )
    first, second = (folder.questions(tmp_path / name) for name in ("q.csv", "q.jsonl"))
    assert first == second
    assert [s.question for s in first] == ["Which\u2028way?"]


@pytest.mark.parametrize("text", ["", "clip,question,options,answer\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AnnotationsError, match="holds no row"):
        read(tmp_path, text)


def test_more_fields_than_the_heading_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="quote its texts"):
        read(tmp_path, "clip,question,options,answer\na.mp4,Left, or right?,x|y,x\n")


def test_an_absent_file_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"data\.folder\.questions"):
        folder.questions(tmp_path / "q.csv")
