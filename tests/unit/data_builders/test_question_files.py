"""Files of questions as people and programs write them: read as they are meant, or refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders import folder
from data_builders.annotations import AnnotationsError
from data_builders.sample import LETTERS

WORDS = st.lists(
    st.sampled_from(["pans", "left", "ganz links", "é", "左", "\u2028x", "it's", '"so"', "a; b"]),
    min_size=1,
    max_size=4,
).map(" ".join)
ROWS = st.fixed_dictionaries(
    {
        "clip": st.sampled_from(["a.mp4", "b/c d.mp4", "é.webm"]),
        "question": WORDS.map("Which, {}?".format),
        "options": st.lists(WORDS, min_size=2, max_size=26, unique_by=lambda t: t.split()[0] + t),
        "right": st.integers(0, 25),
    }
)
STYLES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["comma.csv", "semicolon.csv", "tab.tsv", "lines.jsonl", "a.json"]),
        "mark": st.booleans(),
        "newline": st.sampled_from(["\n", "\r\n"]),
        "lettered": st.booleans(),
        "turned": st.booleans(),
        "by_letter": st.booleans(),
        "spaces": st.sampled_from(["", " "]),
        "place": st.sampled_from(["", "<video>", "<video>\n", r"<image>\n"]),
    }
)


def fields(row: dict[str, Any], style: dict[str, Any]) -> dict[str, Any]:
    """A row in a person's style."""
    options, right = row["options"], row["right"] % len(row["options"])
    letters = LETTERS[: len(options)]
    texts = [f"{a}. {b}" for a, b in zip(letters, options, strict=True)]
    texts = texts if style["lettered"] else options
    texts = texts[::-1] if style["lettered"] and style["turned"] else texts
    answer = letters[right] if style["by_letter"] else options[right]
    space = style["spaces"]
    return {
        "clip": row["clip"],
        "question": style["place"] + row["question"] + space,
        "options": [space + text for text in texts],
        "answer": answer + space,
    }


def text(rows: list[dict[str, Any]], style: dict[str, Any]) -> str:
    """The file's text."""
    if style["kind"].endswith(".json"):
        return json.dumps(rows, ensure_ascii=False)
    if style["kind"].endswith(".jsonl"):
        return style["newline"].join(json.dumps(row, ensure_ascii=False) for row in rows)
    file = io.StringIO(newline="")
    separator = {"comma": ",", "semicolon": ";", "tab": "\t"}[style["kind"].partition(".")[0]]
    table = csv.writer(file, delimiter=separator, lineterminator=style["newline"])
    table.writerow(rows[0])
    for row in rows:
        table.writerow({**row, "options": "|".join(row["options"])}.values())
    return file.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("questions")


@given(rows=st.lists(ROWS, min_size=1, max_size=4), style=STYLES)
def test_every_way_to_write_a_question_is_read_alike(
    place: Path, rows: list[dict[str, Any]], style: dict[str, Any]
) -> None:
    path = place / style["kind"]
    marked = "\ufeff" * style["mark"] + text([fields(row, style) for row in rows], style)
    path.write_bytes(marked.encode())
    found = folder.questions(path)
    assert [(s.clip, s.question, list(s.options)) for s in found] == [
        (f"folder/{row['clip']}", row["question"], [o.strip() for o in row["options"]])
        for row in rows
    ]
    for sample, row in zip(found, rows, strict=True):
        assert sample.answer == LETTERS[row["right"] % len(row["options"])]


FIELD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([[], {}, [None], ["x", 1], [["x"]], {"x": "y"}, "A", "|", "a|b|a", "\x00"])
)
NAMES = st.sampled_from([*folder._Row.model_fields, "colour", "", "id", "options", "answer"])
CONTENTS = (
    st.lists(st.dictionaries(NAMES, FIELD, max_size=6), max_size=3).map(json.dumps)
    | st.lists(FIELD, max_size=3).map(json.dumps)
    | st.text(max_size=60)
    | st.lists(st.lists(st.text(max_size=5), max_size=5).map(",".join)).map("\n".join)
    | st.lists(st.lists(st.text(max_size=5), max_size=5).map(",".join)).map(
        lambda lines: "\n".join(["clip,question,options,answer", *lines])
    )
).map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=60)


@given(content=CONTENTS, name=st.sampled_from(["q.csv", "q.tsv", "q.json", "q.jsonl", "q.parquet"]))
def test_any_other_file_is_read_or_refused_by_its_name(
    place: Path, content: bytes, name: str
) -> None:
    (place / name).write_bytes(content)
    try:
        samples = folder.questions(place / name)
    except AnnotationsError as error:
        assert str(place / name) in str(error)
        assert "pydantic" not in str(error) and "input_value" not in str(error)
    else:
        assert all(sample.question and sample.clip and sample.truth for sample in samples)
        json.dumps([sample.model_dump() for sample in samples]).encode()
