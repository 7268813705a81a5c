"""Others' row formats, in every form that their own loaders take."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders.annotations import AnnotationsError, read_rows
from data_builders.media import image, video
from data_builders.options import split_question
from data_builders.rows import Reading, facts_by_clip, questions
from data_builders.sample import LETTERS, Sample
from data_builders.trajectory_filters import leak

TRACE = "<observation>It slides.</observation>\n<think>So right.</think>\n<answer>B</answer>"
LISTED = "Which way?\nA. Pan left\nB. Pan right"
MEANT = ("Which way?", ("Pan left", "Pan right"), "B")


def read(
    tmp_path: Path, *rows: dict[str, Any], use: str = "sft", most: float = 0.0
) -> list[Sample]:
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    return questions(tmp_path / "rows.json", "theirs", use, most)


def chat(user: str, reply: str | None = TRACE, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": user}]
    turns += [{"role": "assistant", "content": reply}] if reply is not None else []
    return {"messages": turns, "videos": ["video/a.mp4"], **more}


def easyr1(problem: str, **more: Any) -> dict[str, Any]:
    return {
        "problem": problem, "answer": "B", "videos": ["video/a.mp4"], "data_type": "video",
        "problem_type": "multiple choice", **more,
    }  # fmt: skip


BESIDE = ["A. Pan left", "B. Pan right"]
FORMS = {
    "sharegpt": chat(f"<video>{LISTED}"),
    "a heading, and instructions behind": chat(
        f"<video>\nQuestion: Which way?\nOptions:\nA. Pan left\nB. Pan right\n{'Think first.'}"
    ),
    "a system turn": {
        "messages": [{"role": "system", "content": "Be good."}, *chat(LISTED)["messages"]],
        "videos": ["video/a.mp4"],
    },
    "other names of turns": {
        "conversations": [
            {"from": "human", "value": f"{LISTED}<video>"},
            {"from": "gpt", "value": TRACE},
        ],
        "videos": "video/a.mp4",
    },
    "options in one line": chat("<video> Which way? A. Pan left B. Pan right"),
    "options in brackets": chat("<video>Which way? (A) Pan left (B) Pan right"),
    "options in another order": chat("Which way?\nB. Pan right\nA. Pan left"),
    "a solution in place of the reply": chat(LISTED, None, solution="<answer>B</answer>"),
    "options beside": easyr1("Which way?", options=BESIDE),
    "options beside, without letters": easyr1("Which way?", options=["Pan left", "Pan right"]),
    "options beside and in the text": easyr1(LISTED, options=BESIDE),
    "options by letter": easyr1("Which way?", options={"A": "Pan left", "B": "Pan right"}),
    "options null": easyr1(f"<video>{LISTED}", options=None),
    "an answer in tags": easyr1("Which way?", options=BESIDE, answer="<answer>B</answer>"),
    "an answer by text": easyr1("Which way?", options=BESIDE, answer="Pan right"),
    "an answer by both": easyr1("Which way?", options=BESIDE, answer="B. Pan right"),
    "a solution": easyr1("Which way?", options=BESIDE, answer=None, solution="<answer>B</answer>"),
    "verl": {
        "prompt": [{"role": "system", "content": "Be good."}, {"role": "user", "content": LISTED}],
        "videos": [{"video": "file:///data/video/a.mp4", "fps": 1.0}],
        "reward_model": {"style": "rule", "ground_truth": "B"},
    },
    "evaluation": {
        "problem": "Which way?", "options": BESIDE, "solution": "<answer>B</answer>",
        "path": "video/a.mp4", "output": [TRACE], "data_type": "video",
    },
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_question(tmp_path: Path, form: str) -> None:
    (sample,) = read(tmp_path, FORMS[form])
    assert (sample.question, sample.options, sample.answer) == MEANT
    assert sample.clip in ("video/a.mp4", "data/video/a.mp4")
    assert (sample.task, sample.split, sample.id) == ("multiple_choice", "train", "theirs_sft_1")
    taught = TRACE in json.dumps(FORMS[form]).encode().decode("unicode_escape")
    assert (sample.observation, sample.think) == (
        ("It slides.", "So right.") if taught else (None,) * 2
    )


def test_json_lines_and_parquet_are_read_alike(tmp_path: Path) -> None:
    rows = [FORMS["verl"], FORMS["verl"]]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "q.parquet")
    lines, table = (questions(tmp_path / f"q.{s}", "x", "rl", 0.0) for s in ("jsonl", "parquet"))
    assert lines == table and len(lines) == 2


def test_yes_and_no_are_options_where_none_are_listed(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, easyr1("Does it pan?", answer="yes"))
    assert (sample.options, sample.answer, sample.task) == (("No", "Yes"), "B", "binary")


def test_a_question_without_options_keeps_its_answer_and_kind(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, easyr1("How far?", answer=3.5, problem_type="free-form number"))
    assert (sample.options, sample.answer, sample.task) == ((), 3.5, "free-form_number")


def test_pictures_are_told_from_clips_and_tests_are_held_out(tmp_path: Path) -> None:
    row = {**easyr1("Which way?", options=BESIDE), "videos": [], "images": ["/x/../a.jpg"]}
    (sample,) = read(tmp_path, row, use="test")
    assert (sample.split, sample.media) == ("test", (image("x/a.jpg"),))


def test_several_items_stand_where_the_text_places_them(tmp_path: Path) -> None:
    shown = {"images": ["a.jpg", "b.jpg"], "videos": [{"video": "c.mp4", "video_end": 2.5}]}
    amid, front = (
        "<image> then <video> or <image>? A. x B. y",
        "<video><image><image>\nQ? A. x B. y",
    )
    first, second, third = read(
        tmp_path,
        *({**easyr1(text), **shown, "data_type": "mixed"} for text in (amid, front)),
        {**easyr1("Q? A. x B. y"), "videos": [], "data_type": "text"},
    )
    clip = video("c.mp4", end=2.5)
    assert first.media == (image("a.jpg"), clip, image("b.jpg"))
    assert first.question == "<image> then <video> or <image>?"
    assert (second.media, second.question) == ((clip, image("a.jpg"), image("b.jpg")), "Q?")
    assert third.media == ()


BAD = {
    "messages: one question": {**chat(LISTED), "messages": chat(LISTED)["messages"] * 2},
    "messages: a turn has no content": {"messages": [{"role": "user"}], "videos": ["a.mp4"]},
    "messages: the reply is not one": chat(LISTED, "<think>So</think> B"),
    "row: has none of messages": {"videos": ["a.mp4"], "answer": "B"},
    "videos: the row has 0 images and 2 videos, its text places <video>": {
        **chat(f"<video>{LISTED}"),
        "videos": ["a.mp4", "b.mp4"],
    },
    "videos: the row has 0 images and 0 videos": {**chat(f"<video>{LISTED}"), "videos": []},
    "videos: none, and data_type is video": {**easyr1(LISTED), "videos": []},
    "videos: {} names no file": {**chat(LISTED), "videos": [{}]},
    "answer: 'C' names not just one": chat(LISTED, TRACE.replace("B", "C")),
    "answer: none": easyr1(LISTED, answer=None),
    "options: carry the letters A, C": easyr1("?", options=["A. x", "C. y"]),
    "options: carry the letters A, B, D": chat("Which?\nA. x\nB. y\nD. z"),
    "options: .*but the text has": easyr1(LISTED, options=["up", "down"]),
    "options: one alone": easyr1("?", options=["A. x"]),
    "options: 27 of them": easyr1("?", options=[f"o{n}" for n in range(27)]),
    "options: a list of texts": easyr1("?", options=[1, 2]),
}


@pytest.mark.parametrize("words", BAD)
def test_what_can_not_be_read_is_named_by_file_row_and_field(tmp_path: Path, words: str) -> None:
    with pytest.raises(AnnotationsError, match=rf"(?s)1 of 2 rows.*rows\.json, row 2: {words}"):
        read(tmp_path, chat(LISTED), BAD[words])


def test_few_bad_rows_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [chat(LISTED)] * 3 + [chat(LISTED, "C")]
    assert len(read(tmp_path, *rows, most=0.25)) == 3
    assert "1 of 4 rows" in caplog.text and "rows.json, row 4: answer" in caplog.text
    with pytest.raises(AnnotationsError, match=r"data\.max_quarantined=0\.2 allows fewer"):
        read(tmp_path, *rows, most=0.2)


def test_what_stands_behind_the_options_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    read(tmp_path, *[chat(f"{LISTED}\nAnswer with a letter.")] * 2)
    assert "2 rows go on behind their options, left out: 'Answer with a letter.'" in caplog.text


WORDS = (
    st.text(st.sampled_from("abc é,.?'\"-"), min_size=1)
    .map(str.strip)
    .filter(lambda text: any(c.isalpha() for c in text))
)


@given(
    question=WORDS,
    options=st.lists(
        WORDS, min_size=2, max_size=26, unique_by=lambda t: " ".join(t.split()).lower()
    ),
    mark=st.sampled_from(["{}. ", "({}) ", "{}) ", "{}: ", "  {}.  "]),
    behind=st.sampled_from(["", "\nAnswer with the letter."]),
)
def test_options_that_were_listed_are_found_again(
    question: str, options: list[str], mark: str, behind: str
) -> None:
    listed = "".join(f"\n{mark.format(a)}{o}" for a, o in zip(LETTERS, options, strict=False))
    assert split_question(question + listed + behind) == (question, tuple(options), behind.strip())


@pytest.mark.parametrize(
    "text", ["I. think so", "Is Mr. B. here?", "U.S. ships\nmove", "A. lone one", ""]
)
def test_letters_that_are_no_list_are_text(text: str) -> None:
    assert split_question(text) == (text, (), "")


def test_a_line_that_looks_like_an_option_is_not_the_first(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, chat("Which?\nI. think so.\nA. left\nB. right", "B"))
    assert sample.options == ("left", "right") and sample.question == "Which?\nI. think so."


def test_the_published_traces_are_read_and_some_betray_their_answer(published: Path) -> None:
    path = published / "camreasoner" / "eval_camerabench.json"
    samples = questions(path, "camreasoner", "sft", 0.0)
    assert len(samples) == 138 and all(s.observation and s.think for s in samples)
    assert sum(leak(f"{s.observation} {s.think}") is not None for s in samples) >= 22


@pytest.mark.parametrize("name", ["deep.json", "deep.jsonl"])
def test_json_too_deep_to_be_read_is_a_fault_of_its_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(AnnotationsError, match=name):
        read_rows(tmp_path / name)


MAPS = Reading(where={"data_source": "SR"}, prefix="map_", clips={"a": {"map": {"bed": [[1, 2]]}}})


def test_facts_of_a_clip_come_from_a_file_beside_the_questions(tmp_path: Path) -> None:
    many = {"answer": "4", "problem_type": "numerical"}
    rows = [easyr1("How many?", **many, data_source=own) for own in ("SR", "other")]
    (tmp_path / "q.json").write_text(json.dumps(rows))
    known, plain = questions(tmp_path / "q.json", "x", "rl", 0.0, MAPS)
    assert (known.task, known.facts) == ("map_numerical", {"map": {"bed": [[1, 2]]}})
    assert (plain.task, plain.facts) == ("numerical", {})


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (MAPS._replace(clips={}), "row 1: facts: none about the clip 'a'"),
        (Reading(fields=("duration",)), "row 1: duration: none, and data.files says"),
        (Reading(without={"data_source": ("SR",)}), "leaves out all of its 1 rows"),
    ],
)
def test_a_missing_fact_is_named_with_its_row(reading: Reading, said: str, tmp_path: Path) -> None:
    (tmp_path / "q.json").write_text(json.dumps([easyr1("Why?", answer="4", data_source="SR")]))
    with pytest.raises(AnnotationsError) as caught:
        questions(tmp_path / "q.json", "x", "rl", 0.0, reading)
    assert said in str(caught.value) and str(tmp_path / "q.json") in str(caught.value)


def test_a_fact_file_names_its_clips(tmp_path: Path) -> None:
    (tmp_path / "maps.jsonl").write_text(json.dumps({"video": "a", "map": {}}) + "\n")
    assert facts_by_clip(tmp_path / "maps.jsonl", "video") == {"a": {"map": {}}}
    with pytest.raises(AnnotationsError, match="row 1 has no text under 'clip'"):
        facts_by_clip(tmp_path / "maps.jsonl", "clip")


def test_rows_of_other_systems_bring_their_fields(tmp_path: Path) -> None:
    moment = {
        "video": "video/a.mp4", "sentence": "It turns.", "timestamp": [1.0, 3.0],
        "duration": 9.5, "video_start": 0.5, "video_end": 8.0,
    }  # fmt: skip
    trace = {**easyr1("Which way?", options=BESIDE, answer=None), "process": "<think>So.</think>",
             "solution": "<answer>B</answer>", "problem_type": "segmentation"}  # fmt: skip
    (tmp_path / "q.json").write_text(json.dumps([moment, trace]))
    read_so = Reading("question_type", ("duration",))
    with pytest.raises(AnnotationsError, match="row 2: duration"):
        questions(tmp_path / "q.json", "x", "rl", 0.0, read_so)
    (sample,) = questions(
        tmp_path / "q.json",
        "x",
        "rl",
        0.0,
        read_so._replace(without={"problem_type": ("segmentation",)}),
    )
    assert (sample.question, sample.answer, sample.facts) == (
        "It turns.",
        [1, 3],
        {"duration": 9.5},
    )
    assert sample.media == (video("video/a.mp4", 0.5, 8.0),)
    (_, taught) = questions(tmp_path / "q.json", "x", "sft", 0.0)
    assert (taught.think, taught.answer) == ("So.", "B")
