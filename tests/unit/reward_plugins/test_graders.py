"""Graders by task against a second statement of each published rule, written from its facts."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.graders import GraderError, TruthError, check, grade
from reward_plugins.reward import BrokenSampleError, compute_score

TAGS = ("think", "answer")
whole = st.integers(-50, 50)
interval = st.tuples(whole, whole).filter(lambda ends: ends[0] < ends[1]).map(list)
corners = st.tuples(whole, whole, whole, whole).filter(lambda b: b[0] < b[2] and b[1] < b[3])
box = corners.map(list)
point = st.tuples(st.floats(0, 10), st.floats(0, 10)).map(list)
places = st.dictionaries(st.sampled_from(["chair", "table", "bed"]), st.lists(point, max_size=3))


def score(grader: str, answer: str | None, truth: Any, **settings: Any) -> float:
    return grade({"grader": grader, **settings}, answer, truth)


@pytest.mark.parametrize(
    ("settings", "answer", "truth", "expected"),
    [
        ({"grader": "number"}, "3.0", "3", 1),
        ({"grader": "number"}, "3.001", "3", 0),
        ({"grader": "number", "decimals": 2}, "3.001", "3", 1),
        ({"grader": "number", "decimals": 2}, "3.141", 3.14, 1),
        ({"grader": "number", "decimals": 2}, "three", 3, 0),
        ({"grader": "relative", "rule": "at_most"}, "3", "4", 0.6),
        ({"grader": "relative", "rule": "below"}, "3", "4", 0.5),
        ({"grader": "relative", "rule": "at_most"}, "about 4 m", "4", 0),
        ({"grader": "relative", "rule": "at_most", "reads": "first"}, "about 4 m, or 5", "4", 1),
        ({"grader": "relative", "rule": "at_most", "reads": "first"}, "there is a chair", "1", 1),
        ({"grader": "relative", "rule": "at_most", "reads": "first"}, "Three chairs", "3", 1),
        ({"grader": "relative_error"}, "9", "10", 0.9),
        ({"grader": "relative_error"}, "30", "10", 0),
        ({"grader": "words"}, "to be or", "to be", 0.5),
        ({"grader": "words"}, "", "to be", 0),
        ({"grader": "rouge"}, "the camera pans", "the camera pans", 1),
        ({"grader": "rouge"}, "", "the camera pans", 0),
        ({"grader": "math"}, "0.5", "1/2", 1),
        ({"grader": "math"}, "\\frac{1}{2}", "0.5", 1),
        ({"grader": "math"}, "x+1", "1+x", 1),
        ({"grader": "math"}, "x+2", "1+x", 0),
        ({"grader": "math"}, "9^9^9^9", "5", 0),
        ({"grader": "interval"}, "[0, 2]", "[1, 3]", 1 / 3),
        ({"grader": "interval"}, '```json\n{"time": [0, 2]}\n```', '{"time": [1, 3]}', 1 / 3),
        ({"grader": "interval"}, "0 to 2", "[1, 3]", 0),
        ({"grader": "box"}, "[0, 0, 2, 2]", "[1, 1, 3, 3]", 1 / 7),
        ({"grader": "track"}, '{"boxes": {"1": [0, 0, 2, 2]}}',
         '{"boxes": {"1": [0, 0, 2, 2], "2": [0, 0, 2, 2]}}', 0.5),
        ({"grader": "points"}, "[[0, 0], [9, 9]]", "[[9, 9], [0, 0]]", 1),
        ({"grader": "points"}, "[[0, 0]]", "[[9, 9], [0, 0]]", 0),
        ({"grader": "points", "sigma": 5}, "[[3, 4]]", "[[0, 0]]", math.exp(-0.5)),
        ({"grader": "map"}, '{"Chair": [[1, 1]]}', '{"chair": [[1, 1]]}', 1),
        ({"grader": "map"}, "no map", '{"chair": [[1, 1]]}', 0),
    ],
)  # fmt: skip
def test_edges_of_each_rule(
    settings: dict[str, Any], answer: str, truth: Any, expected: float
) -> None:
    assert grade(settings, answer, truth) == pytest.approx(expected)
    assert grade(settings, None, truth) == 0


@given(interval, interval)
def test_intervals_are_those_of_the_hull(said: list[int], truth: list[int]) -> None:
    """OneThinker's union is the hull; where intervals overlap it is the same."""
    inside = max(0, min(said[1], truth[1]) - max(said[0], truth[0]))
    hull = max(said[1], truth[1]) - min(said[0], truth[0])
    assert score("interval", json.dumps(said), truth) == pytest.approx(inside / hull)


@given(box, box)
def test_boxes_are_counted_by_cells(said: list[int], truth: list[int]) -> None:
    def cells(b: list[int]) -> set[tuple[int, int]]:
        return set(itertools.product(range(b[0], b[2]), range(b[1], b[3])))

    one, other = cells(said), cells(truth)
    expected = len(one & other) / len(one | other)
    assert score("box", json.dumps(said), truth) == pytest.approx(expected)


@given(st.lists(point, min_size=3, max_size=3), st.lists(point, min_size=3, max_size=3))
def test_points_take_the_best_of_six_matchings(said: Any, truth: Any) -> None:
    expected = max(
        np.mean(
            [math.exp(-(math.dist(a, b) ** 2) / (2 * 50**2)) for a, b in zip(p, truth, strict=True)]
        )
        for p in itertools.permutations(said)
    )
    assert score("points", json.dumps(said), truth) == pytest.approx(float(expected))


@given(places, places)
def test_maps_match_the_nearest_first(said: dict[str, Any], truth: dict[str, Any]) -> None:
    def kind(a: list[list[float]], b: list[list[float]]) -> float:
        one, other, total = [*a], [*b], 0.0
        while one and other:
            x, y = min(itertools.product(one, other), key=lambda pair: math.dist(*pair))
            total += max(0.0, 1 - math.dist(x, y) / math.hypot(10, 10))
            one.remove(x)
            other.remove(y)
        return total / max(len(a), len(b), 1)

    count = sum(map(len, truth.values()))
    expected = sum(kind(said.get(k, []), v) * len(v) for k, v in truth.items()) / max(1, count)
    if not count:
        expected = float(not any(said.values()))
    found = score("map", json.dumps(said), json.dumps(truth))
    assert found == pytest.approx(expected, abs=1e-6) or _ties(said, truth)


def _ties(said: dict[str, Any], truth: dict[str, Any]) -> bool:
    """Equal distances, of which either may be matched first."""
    near = [math.dist(a, b) for k in truth for a in said.get(k, []) for b in truth[k]]
    return len({round(d, 6) for d in near}) < len(near)


@given(st.text(max_size=30), st.text(max_size=30).filter(str.strip))
def test_words_are_edited(said: str, truth: str) -> None:
    a, b = truth.split(), said.split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(before[j - 1] + (word != other), before[j] + 1, row[-1] + 1))
    assert score("words", said, truth) == pytest.approx(max(0.0, 1 - row[-1] / len(a)))


TRUTHS: dict[str, Any] = {
    "number": "4", "relative": 4, "relative_error": "4", "words": "to be", "rouge": "to be",
    "math": "x", "interval": [0, 1], "box": [0, 0, 1, 1], "track": {"1": [0, 0, 1, 1]},
    "points": [[1, 2]], "map": {"chair": [[1, 2]]},
}  # fmt: skip


@pytest.mark.parametrize("grader", TRUTHS)
@given(
    answer=st.text(st.characters(exclude_categories=()), max_size=40)
    | st.sampled_from(["[", "{}", "[NaN, 1]", '{"time": 3}', '{"boxes": []}', "[[[[", "1e999", "-"])
)
def test_every_answer_scores(grader: str, answer: str) -> None:
    assert 0 <= score(grader, answer, TRUTHS[grader]) <= 1


@pytest.mark.parametrize(
    ("grader", "truth"),
    [("number", "four"), ("relative", None), ("relative_error", True), ("words", " "),
     ("rouge", 3), ("interval", [2, 1]), ("interval", "soon"), ("box", [0, 0, 0, 1]),
     ("track", {}), ("track", {"1": [0]}), ("points", []), ("map", "nowhere")],
)  # fmt: skip
def test_a_malformed_truth_is_an_error_whatever_the_answer(grader: str, truth: Any) -> None:
    for answer in (None, "4"):
        with pytest.raises(TruthError, match="truth"):
            score(grader, answer, truth)
    info = {"sample_id": "s7"}
    with pytest.raises(BrokenSampleError, match="s7"):
        compute_score("t", "x", truth, info, tasks={"t": {"grader": grader}}, tags=TAGS)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"grader": "numbers"}, "'numbers' is none of letter, number"), ({}, "is none of"),
     ({"grader": "number", "rule": "below"}, "takes decimals, not rule"),
     ({"grader": "letter", "sigma": 3}, "takes nothing, not sigma")],
)  # fmt: skip
def test_settings_that_name_no_grader(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(GraderError, match=said):
        check(settings)


def test_a_grader_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def half(answer, truth, facts):\n    return facts['worth'] * (answer == truth)\n"
    )
    own = {"grader": f"{file}:half"}
    assert grade(own, "a", "a", {"worth": 0.5}) == 0.5
    with pytest.raises(GraderError, match="returned 7, not a score"):
        grade(own, "a", "a", {"worth": 7})


def test_the_reward_grades_by_task_in_both_forms() -> None:
    tasks = {
        "distance": {"grader": "relative", "rule": "at_most"},
        "two words": {"grader": "letter"},
    }
    for given_tasks in (tasks, json.dumps(tasks)):

        def reward(task: str, answer: str, truth: str, **more: Any) -> dict[str, float]:
            text = f"<think>so</think><answer>{answer}</answer>"
            return compute_score(task, text, truth, more, tasks=given_tasks, tags=TAGS)  # noqa: B023

        assert reward("distance", "3", "4") == {
            "score": pytest.approx(0.9 * 0.6 + 0.1),
            "format": 1.0,
            "accuracy": 0.6,
        }
        assert reward("two words", "B. no", "B", options=["yes", "no"])["accuracy"] == 1
        with pytest.raises(
            BrokenSampleError, match=r"'speed' is none of \['distance', 'two words'\]"
        ):
            reward("speed", "3", "4")
    assert compute_score("distance", "3", "4", {}, tasks=tasks, tags=TAGS)["accuracy"] == 0
