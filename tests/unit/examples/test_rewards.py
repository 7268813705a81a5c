"""The rewards in examples/: one file each, named by one line of a recipe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.rewards import length_window, map_imagination, numeric, task_keyed
from reward_plugins import BrokenSampleError
from reward_plugins.own import KEYS

SETTINGS: dict[str, Any] = {
    "format_weight": 0.1, "gate_accuracy_on_format": True, "matching": "strict",
    "min_block_chars": 0, "tasks": None, "tags": ("think", "answer"),
}  # fmt: skip
"""What every reward is called with, in the project's own values."""
REWARDS = [length_window, numeric, map_imagination, task_keyed]


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


# --- SpaceR's maps ---

TRUE_MAP = {"table": [[0, 3], [5, 7]], "chair": [[9, 3]]}


def mapped(given: object, answer: str = "A", task: str = "multiple choice") -> dict[str, float]:
    """The scores of a response whose thinking holds the map `given`."""
    text = given if isinstance(given, str) else json.dumps(given)
    info = {"facts": json.dumps({"map": TRUE_MAP})}
    truth = "A" if task == "multiple choice" else "10"
    response = trace(answer, f"<map>{text}</map> so")
    return map_imagination.compute_score(task, response, truth, info, **SETTINGS)


def test_a_true_map_doubles_a_right_answer_and_a_bad_one_voids_it() -> None:
    assert mapped(TRUE_MAP)["score"] == pytest.approx(3.0)  # accuracy, map and format
    assert mapped({"sofa": [[1, 1]]})["score"] == 1.0
    assert mapped("nonsense")["score"] == 1.0
    assert mapped(TRUE_MAP, answer="B")["score"] == 1.0
    no_map = map_imagination.compute_score("multiple choice", trace("A"), "A", {}, **SETTINGS)
    assert no_map["score"] == 2.0


def test_a_map_counts_for_a_number_that_is_near_enough() -> None:
    assert mapped(TRUE_MAP, "10", "numerical")["score"] == pytest.approx(3.0)
    assert mapped(TRUE_MAP, "6", "numerical")["score"] == 1.3  # 0.3 is not above 0.5: no map
    assert mapped({}, "10", "numerical")["score"] == 1.0


def test_a_map_before_the_thinking_breaks_the_format_as_in_spacer() -> None:
    info = {"facts": {"map": TRUE_MAP}}
    response = f"<map>{json.dumps(TRUE_MAP)}</map>" + trace("A")
    scores = map_imagination.compute_score("multiple choice", response, "A", info, **SETTINGS)
    assert (scores["format"], scores["score"]) == (0.0, pytest.approx(2.0))


def test_the_map_score_of_a_worked_example() -> None:
    """One of two tables, 3-4-5 away, of three true points: 2/3 of half of 1 - 5/diagonal."""
    near = 1 - 5 / (10 * 2**0.5)
    assert map_imagination.map_score({"table": [[3, 7]]}, TRUE_MAP) != 0
    far = {"table": [[4, 6]]}  # 5 from (0, 3) up to rounding, sqrt 2 from (5, 7): the nearer counts
    nearer = 1 - 2**0.5 / (10 * 2**0.5)
    assert map_imagination.map_score(far, TRUE_MAP) == pytest.approx(2 / 3 * nearer / 2)
    only = {"table": [[0, 3]]}
    assert map_imagination.map_score({"table": [[3, 7]]}, only) == pytest.approx(near)
    assert map_imagination.map_score({}, {}) == 1.0


points = st.lists(st.lists(st.integers(0, 10), min_size=2, max_size=2), max_size=4)
maps = st.dictionaries(st.sampled_from(["table", "chair", "sofa"]), points)


@given(maps, maps)
def test_a_map_score_is_a_share_and_a_map_is_like_itself(a: Any, b: Any) -> None:
    assert 0 <= map_imagination.map_score(a, b) <= 1 + 1e-9
    assert map_imagination.map_score(a, a) == pytest.approx(1.0)


# --- OneThinker's tasks ---


@pytest.mark.parametrize(
    ("task", "answer", "truth", "accuracy", "structure"),
    [
        ("multiple choice", "B", "B", 1.0, 0.5),
        ("numerical", "3.141", "3.14", 1.0, 0.5),
        ("regression", "9", "10", 0.8, 0.5),
        ("ocr", "to be or", "to be", 0.5, 0.5),
        ("temporal grounding", '{"time": [0, 2]}', '{"time": [1, 3]}', 1 / 3, 0.5),
        ("temporal grounding", "0 to 2", '{"time": [1, 3]}', 0.0, 0.0),
        ("spatial grounding", '{"boxes": [0, 0, 2, 2]}', '{"boxes": [1, 1, 3, 3]}', 1 / 7, 0.5),
        (
            "tracking",
            '{"boxes": {"1": [0, 0, 1, 1]}}',
            '{"boxes": {"1": [0, 0, 1, 1], "2": [0, 0, 1, 1]}}',
            0.5,
            0.375,
        ),
        (
            "spatial-temporal grounding",
            '{"time": [1, 3], "boxes": {"1": [0, 0, 1, 1]}}',
            '{"time": [1, 3], "boxes": {"1": [0, 0, 1, 1], "2": [0, 0, 1, 1]}}',
            1.0,
            0.375,
        ),
    ],
)
def test_each_task_has_its_own_measure(
    task: str, answer: str, truth: str, accuracy: float, structure: float
) -> None:
    scores = task_keyed.compute_score(task, trace(answer), truth, {}, **SETTINGS)
    assert scores["accuracy"] == pytest.approx(accuracy)
    assert scores["structure"] == pytest.approx(structure)
    assert scores["score"] == pytest.approx(0.9 * accuracy + 0.1 + structure)
    broken = task_keyed.compute_score(task, f"<answer>{answer}</answer>", truth, {}, **SETTINGS)
    assert broken["score"] == pytest.approx(0.9 * accuracy)


def test_a_task_without_a_measure_is_an_error() -> None:
    with pytest.raises(BrokenSampleError, match="'segmentation' is none of"):
        task_keyed.compute_score("segmentation", trace("A"), "A", {}, **SETTINGS)


# --- all of them ---

TRUTHS = {length_window: "A", numeric: "4", map_imagination: "A", task_keyed: "A"}
JUNK = [
    *("", "<answer>", trace("[" * 9000), trace("1" * 9000), trace("NaN")),
    *(trace('{"time": [1e999, 2]}'), trace('{"boxes": {"1": 7}}')),
    trace("A", "<map>" + "[" * 9000 + "</map>"),
]


@pytest.mark.parametrize("reward", REWARDS, ids=lambda module: module.__name__)
@given(st.one_of(st.text(), st.none(), st.sampled_from(JUNK)))
def test_nothing_that_a_policy_writes_raises(reward: Any, response: object) -> None:
    info = {"facts": json.dumps({"map": TRUE_MAP}), "options": '["yes", "no"]'}
    truth = TRUTHS[reward]
    for task in task_keyed.TASKS if reward is task_keyed else ["multiple choice"]:
        truth = "7" if task in ("numerical", "regression") else TRUTHS[reward]
        scores = reward.compute_score(task, response, truth, info, **SETTINGS)
        assert set(KEYS) <= set(scores)
        assert all(0 <= value <= 3 for value in scores.values())
