"""The rewards in examples/: one file each, named by one line of a recipe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.rewards import length_window, numeric
from reward_plugins import BrokenSampleError
from reward_plugins.own import KEYS

SETTINGS: dict[str, Any] = {
    "format_weight": 0.1, "gate_accuracy_on_format": True, "matching": "strict",
    "min_block_chars": 0, "tasks": None, "tags": ("think", "answer"),
}  # fmt: skip
"""What every reward is called with, in the project's own values."""
REWARDS = [length_window, numeric]


def trace(answer: str, think: str = "Hm.") -> str:
    return f"<think>{think}</think><answer>{answer}</answer>"


# --- a window of lengths ---


@pytest.mark.parametrize(("words", "fits"), [(2, 0.0), (3, 1.0), (5, 1.0), (6, 0.0)])
def test_a_right_answer_within_the_window_earns_the_bonus(words: int, fits: float) -> None:
    def score(answer: str) -> dict[str, float]:
        return length_window.compute_score(
            "binary", trace(answer, "so " * words), "A", {}, shortest=3, longest=5, bonus=0.5,
            **SETTINGS,
        )  # fmt: skip

    assert score("A") == {"score": 1.0 + 0.5 * fits, "format": 1.0, "accuracy": 1.0, "length": fits}
    assert score("B") == {"score": 0.1, "format": 1.0, "accuracy": 0.0, "length": 0.0}


# --- numbers ---


@pytest.mark.parametrize(
    ("answer", "accuracy"), [("4", 1.0), ("4.3", 0.9), ("3", 0.6), ("1", 0.0), ("four", 0.0)]
)
def test_a_number_earns_by_its_relative_error(answer: str, accuracy: float) -> None:
    scores = numeric.compute_score("distance", trace(answer), "4", {}, **SETTINGS)
    assert scores["accuracy"] == accuracy
    assert scores["score"] == pytest.approx(0.9 * accuracy + 0.1)


def test_a_truth_that_is_no_number_names_its_sample() -> None:
    with pytest.raises(BrokenSampleError, match="'s1'"):
        numeric.compute_score("distance", trace("4"), "A", {"sample_id": "s1"}, **SETTINGS)


# --- all of them ---

TRUTHS = {length_window: "A", numeric: "4"}
JUNK = [
    *("", "<answer>", trace("[" * 9000), trace("1" * 9000), trace("NaN")),
    *(trace('{"time": [1e999, 2]}'), trace('{"boxes": {"1": 7}}')),
    trace("A", "<map>" + "[" * 9000 + "</map>"),
]


@pytest.mark.parametrize("reward", REWARDS, ids=lambda module: module.__name__)
@given(st.one_of(st.text(), st.none(), st.sampled_from(JUNK)))
def test_nothing_that_a_policy_writes_raises(reward: Any, response: object) -> None:
    info = {"options": '["yes", "no"]'}
    scores = reward.compute_score("multiple choice", response, TRUTHS[reward], info, **SETTINGS)
    assert set(KEYS) <= set(scores)
    assert all(0 <= value <= 3 for value in scores.values())
