"""What may not teach: the wrong format, the wrong answer, and words that give the answer away."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from fake_server import GOOD

from data_builders.media import video
from data_builders.sample import Sample
from data_builders.trajectory_filters import leak, refuse
from tests.givens import question

SAMPLE = question(options=("The scene is dark.", "The camera pans left."), answer="B")


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        (GOOD, "format"),
        (f"Sure! {GOOD}<answer>B</answer>", "format"),
        (f"{GOOD}<answer>B</answer><answer>B</answer>", "format"),
        ("<observation> </observation><think>x</think><answer>B</answer>", "format"),
        ("", "format"),
        (f"{GOOD}<answer>A</answer>", "label"),
        (f"{GOOD}<answer>A or B</answer>", "label"),
        (GOOD.replace("So", "As the ground-truth says,") + "<answer>B</answer>", "leak"),
        (GOOD.replace("So", "Per the given answer,") + "<answer>B</answer>", "leak"),
        (f"{GOOD}<answer>B</answer>", None),
        (f"{GOOD}<answer>B. The camera pans left.</answer>", None),
    ],
)
def test_filters(text: str, stage: str | None) -> None:
    rejection = refuse(SAMPLE, text)
    assert (rejection.stage if rejection else None) == stage


def test_the_published_traces_that_leak_are_caught_and_no_others(published: Path) -> None:
    rows = json.loads((published / "camreasoner/eval_camerabench.json").read_text())
    found: Counter[str | None] = Counter()
    for row in rows:
        sample = Sample(
            id=str(row["problem_id"]), dataset="d", split="test", task="t", category="c",
            media=(video("c"),), question=row["problem"],
            options=tuple(o[3:] for o in row["options"]),
            answer=row["solution"].removeprefix("<answer>")[0],
        )  # fmt: skip
        rejection = refuse(sample, row["output"][0])
        found[rejection.stage if rejection else None] += 1
    assert found == {"leak": 22, None: 116}


@pytest.mark.parametrize(
    "text",
    [
        "the Ground Truth",
        "ground\ntruth",
        "ground\u2011truth",
        "the provided answer",
        "labelled answer",
        "the answer provided is A",
        "the answer we were given",
        "knowing the answer",
        "the answer key",
        "according to the correct answer",
        "I was told",
        "the known label",
        "the prompt states",
    ],
)
def test_leaks(text: str) -> None:
    assert leak(f"It is clear from {text} that it pans.")


@pytest.mark.parametrize(
    "text",
    ["Given the observation, the correct answer is B.", "among the given options", "on the ground",
     "the answer follows from the wall", "the frames provided show", "It is known to be dark."],
)  # fmt: skip
def test_honest_words_are_no_leak(text: str) -> None:
    assert leak(text) is None
