"""The published harnesses' rules, against their published sheets."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.evaluation.matching import (
    anywhere,
    first_character,
    lone_letter_or_text,
    published_rule,
)

SHARED = Path(os.environ.get("CAMREASONER_SHARED_DATA", Path(__file__).parents[4] / "shared/data"))
SHEETS = ("Qwen2.5-VL-3B.origin", "Qwen2.5-VL-3B.reasoning", "ShotVL-3B.reasoning")
PUBLISHED = {
    "lens size": 35.8,
    "lighting type": 52.6,
    "lighting": 57.7,
    "shot framing": 78.7,
    "shot size": 49.7,
    "camera angle": 40.7,
    "composition": 40.1,
    "camera movement": 29.7,
    "Overall": 47.5,
}
"""RefineShot's table, accuracy of Qwen2.5-VL-3B in %."""


class Sheet(NamedTuple):
    """A published sheet: its rows, and its own summary by dimension."""

    rows: list[dict[str, Any]]
    summary: dict[str, dict[str, Any]]


def sheet(name: str) -> Sheet:
    path = SHARED / "refineshot" / f"{name}_results.xlsx"
    if not path.is_file():
        pytest.skip("RefineShot's sheets are not here: set CAMREASONER_SHARED_DATA")
    book = openpyxl.load_workbook(path, read_only=True)
    rows, summary = (
        [dict(zip(header, cells, strict=True)) for cells in values]
        for header, *values in (book["Results"].values, book["Accuracy"].values)
    )
    return Sheet(rows, {row["category"]: row for row in summary})


def verdict(row: dict[str, Any]) -> tuple[str, int]:
    """The letter read, as the sheets write it, and whether it is right."""
    letter = lone_letter_or_text(row["prediction"], tuple(json.loads(row["options"]).values()))
    return letter or "Z", int(letter == row["answer"])


@pytest.mark.parametrize("name", SHEETS)
def test_every_row_of_refineshots_sheets_is_reproduced(name: str) -> None:
    rows, summary = sheet(name)
    assert len(rows) == 3572
    hits: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        where = f"row {row['index']}: {row['prediction'][:200]!r}"
        assert verdict(row) == (row["pred_letter"], row["hit"]), where
        hits[row["category"]].append(verdict(row)[1])
        hits["Overall"].append(verdict(row)[1])
    accuracy = {category: round(mean(each), 4) for category, each in hits.items()}
    assert accuracy == {category: row["accuracy"] for category, row in summary.items()}


def test_the_published_dimensions_are_reproduced_to_the_decimal() -> None:
    rows, _ = sheet("Qwen2.5-VL-3B.origin")
    right = {
        name: mean(verdict(row)[1] for row in rows if name in (row["category"], "Overall"))
        for name in PUBLISHED
    }
    assert {name: round(100 * share, 1) for name, share in right.items()} == PUBLISHED


@pytest.mark.parametrize("name", SHEETS)
def test_the_answer_anywhere_comes_within_a_point_of_what_is_published(name: str) -> None:
    rows, summary = sheet(name)
    hits: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        letter = anywhere(row["prediction"], tuple(json.loads(row["options"]).values()))
        hits[row["category"]].append(letter == row["answer"])
        hits["Overall"].append(letter == row["answer"])
    for category, each in hits.items():  # the published rule takes the article A for a letter
        near = 0.5 if category == "Overall" else 1.5
        assert 100 * mean(each) == pytest.approx(100 * summary[category]["accuracy"], abs=near)


FORMED = "<observation>o</observation><think>A or B</think><answer>{}</answer>"


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        (FORMED.format("B"), "B"),
        (FORMED.format("**B. pan right**"), "B"),
        (FORMED.format("A or B"), None),
        ("<think>It could be A.</think><answer>B", "B"),  # cut off
        ("<ANSWER> (b) </ANSWER>", "B"),
        ("<answer>A</answer> no: <answer>B</answer>", "B"),
        ("Answer: B", "B"),
        ("**Answer:** \\boxed{B}", "B"),
        ("The wall slides left, so the camera pans right.\n\nB", "B"),
        ("The wall slides. Therefore, the correct answer is B.</think>", "B"),
        ("It is a pan right.", "B"),
        ("The shot is best described as a pan right here", "B"),
        ("A camera that turns", None),
        ("As the camera turns ...", None),
        ("The eyes follow; no pan left is seen", None),
        ("It is not a pan left", None),
        ("A or B", None),
        ("either a pan left or a pan right", None),
        ("C", None),
        ("", None),
    ],
)
def test_the_answer_anywhere_is_one_or_none(response: str, letter: str | None) -> None:
    assert anywhere(response, ("pan left", "pan right")) == letter


def test_part_of_a_word_is_no_answer() -> None:
    assert anywhere("The eyes of the man are not sharp here", ("yes", "no")) is None
    assert anywhere("I see a car", tuple("abcdefghi")) is None


@given(st.text(), st.lists(st.text(), max_size=8))
def test_the_answer_anywhere_is_total(response: str, options: list[str]) -> None:
    assert anywhere(response, options) in {None, *"ABCDEFGH"[: len(options)]}


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("<answer>B</answer>", "B"),
        ("<ANSWER> (b) </ANSWER>", None),  # a small letter is no letter, nor an option's text
        ("B. pan right", "B"),
        ("It is a pan right.", "B"),
        ("A or B", None),
        ("Z", None),
        ("A camera that pans", "A"),
        ("", None),
    ],
)
def test_refineshots_rule(response: str, letter: str | None) -> None:
    assert lone_letter_or_text(response, ("pan left", "pan right")) == letter


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("<answer>b</answer>", "B"),
        ("As the camera turns ...", "A"),
        ("Answer: B", "A"),
        ("<answer></answer> B", None),
        ("The answer is B", None),
        ("", None),
    ],
)
def test_the_released_harness_reads_the_first_character(response: str, letter: str | None) -> None:
    assert first_character(response, ("No", "Yes")) == letter


def test_each_published_benchmark_has_its_rule() -> None:
    assert published_rule("camerabench_vqa_match") is first_character
    assert published_rule("refineshot") is lone_letter_or_text
    assert published_rule("synthetic") is None
