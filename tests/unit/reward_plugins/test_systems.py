"""Each system's recipe pays what its published rule pays, stated here a second time."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from reward_plugins.terms import compute_score

MAP = {"table": [[0, 3], [5, 7]], "chair": [[9, 3]]}
SCORED = ["score", "format", "accuracy"]


@cache
def settings_of(name: str, stage: str) -> dict[str, Any]:
    """What the recipe tells its trainer of the reward, own files in their place."""
    recipe = load_recipe(name).at(stage)
    own = recipe.rl.reward.model_dump(exclude={"arguments", "function", "terms"})
    own |= {"tags": recipe.prompt.tags, "tasks": {k: t.settings for k, t in recipe.tasks.items()}}
    terms = recipe.rl.reward.terms.items()
    own["terms"] = {k: t.model_dump() | {"function": f"{ROOT}/{t.function}"} for k, t in terms}
    function = recipe.rl.reward.function
    return own | ({"function": f"{ROOT}/{function}"} if function else {})


def paid(name: str, task: str, text: str, truth: Any, stage: str = "rl", **info: Any) -> Any:
    own = settings_of(name, stage)
    return dict(compute_score(task, text, truth, {"sample_id": "s", **info}, **own))


def said(*answers: str) -> st.SearchStrategy[str]:
    """Responses with such answers: whole ones, and their parts in any order."""
    parts = ("<think>", "</think>", "<answer>", "</answer>", " ", "\n", "so", "<map>", "</map>")
    whole = st.builds(
        "<think>{}</think>{}<answer>{}</answer>{}".format,
        st.sampled_from(["", "Hm.", "a\nb", "<think>", f"<map>{json.dumps(MAP)}</map>"]),
        st.sampled_from(["", "\n", " x "]),
        st.sampled_from(answers),
        st.sampled_from(["", "", "\n", "<answer>B</answer>"]),
    )
    loose = st.lists(st.sampled_from((*parts, *answers)), max_size=9).map("".join)
    return st.one_of(whole, loose)


def has_form(text: str) -> float:
    return float(bool(re.fullmatch(r"<think>.*?</think>\s*<answer>.*?</answer>", text, re.DOTALL)))


def first_answer(text: str) -> str:
    found = re.search(r"<answer>\s*(.*?)\s*</answer>", text, re.DOTALL)
    return found[1].strip() if found else ""


def mra(given: float, truth: float) -> float:
    """VSI-Bench's evaluator, to the bit: an error of at most 1 - θ counts."""
    return float((abs(given - truth) / truth <= 1 - np.linspace(0.5, 0.95, 10)).mean())


# --- Video-R1 ---

ANSWERS = (
    "B",
    "b",
    " B ",
    "B.",
    "3",
    "3.0",
    "3.14",
    "3.144",
    "-3",
    "three",
    "1,234",
    "to be",
    "be",
)


def of_video_r1(task: str, answer: str, truth: str) -> float:
    def value(text: str) -> float | None:
        try:
            return float(text.replace(",", ""))
        except ValueError:
            return None

    given, wanted = value(answer), value(truth)
    if task == "multiple_choice":
        return float(answer == truth)
    if task in ("numerical", "regression"):
        if given is None or wanted is None:
            return 0.0
        if task == "regression":
            return 1 - min(1.0, (abs(given - wanted) + 1e-9) / (abs(wanted) + 1e-9))
        marks = [("." in text) or ("," in text) for text in (truth, answer)]
        return float(marks[0] == marks[1] and round(given, 2) == round(wanted, 2))
    raise KeyError(task)


@pytest.mark.parametrize("name", ["video_r1_7b", "videorft_7b"])
@pytest.mark.parametrize(
    ("task", "truth"),
    [("multiple_choice", "B"), ("numerical", "3.14"), ("numerical", "3"), ("numerical", "1,234"),
     ("regression", "3")],
)  # fmt: skip
@given(text=said(*ANSWERS))
def test_video_r1_adds_accuracy_and_format(name: str, task: str, truth: str, text: str) -> None:
    info = {"options": ("left", "right")} if task == "multiple_choice" else {}
    scores = paid(name, task, text, truth, **info)
    accuracy, form = of_video_r1(task, first_answer(text), truth), has_form(text)
    expected = [accuracy + form, form, accuracy]
    assert [scores[key] for key in SCORED] == pytest.approx(expected, abs=1e-8)


def test_video_r1_reads_texts_by_words() -> None:
    text = "<think>x</think><answer>to be or</answer>"
    assert paid("video_r1_7b", "OCR", text, "to be")["accuracy"] == 0.5
    assert 0 < paid("video_r1_7b", "free-form", text, "to be or not")["accuracy"] < 1


# --- SpaceR ---

COUNTS = ("one", "two", "three", "four", "five")


def of_spacer(answer: str, truth: float) -> float:
    text = answer.strip().lower()
    words = {word: n for n, word in enumerate(COUNTS, start=1)} | {"zero": 0, "a": 1, "an": 1}
    given = next((n for word, n in words.items() if re.search(rf"\b{word}\b", text)), None)
    if given is None and (digits := re.search(r"\d+(\.\d+)?", text)):
        return mra(float(digits[0]), truth)
    return 0.0 if given is None else mra(given, truth)


def of_map(given: Any, truth: dict[str, list[list[float]]]) -> float:
    """Nearest pairs first, 1 - distance / diagonal, over the larger count, by the true counts."""
    total = weight = 0.0
    for kind, places in truth.items():
        left, right = [tuple(p) for p in given.get(kind, [])], [tuple(p) for p in places]
        most, earned = max(len(left), len(right)), 0.0
        while left and right:
            pair = min(((a, b) for a in left for b in right), key=lambda ab: math.dist(*ab))
            left.remove(pair[0])
            right.remove(pair[1])
            earned += 1 - math.dist(*pair) / math.hypot(10, 10)
        total += len(places) * earned / most
        weight += len(places)
    return total / weight


SAID = ("4", "3", "a chair", "4 chairs and a table", "four", "about 3.5 m", "none", "-3", "0")


@given(text=said(*SAID))
def test_spacer_counts_the_first_number_and_maps(text: str) -> None:
    scores = paid("spacer_7b", "map_numerical", text, "4", facts={"cognitive_map": MAP})
    accuracy = of_spacer(first_answer(text), 4)
    if accuracy > 0.5 and "<map>" in text and "</map>" in text:
        drawn = re.search(r"<map>\s*(.*?)\s*</map>", text, re.DOTALL)
        try:
            score = of_map(json.loads(drawn[1] if drawn else ""), MAP)
        except ValueError:
            score = 0.0
        accuracy = accuracy + score if score > 0 else 0.0
    assert scores["score"] == pytest.approx(accuracy + has_form(text))


points = st.lists(st.tuples(*[st.floats(0, 10)] * 2).map(list), max_size=4)


@given(st.dictionaries(st.sampled_from(["table", "chair", "sofa"]), points))
def test_spacer_scores_a_map_by_its_nearest_pairs(drawn: dict[str, Any]) -> None:
    text = f"<think><map>{json.dumps(drawn)}</map></think><answer>B</answer>"
    info = {"options": ("left", "right"), "facts": json.dumps({"cognitive_map": MAP})}
    scores = paid("spacer_7b", "map_multiple_choice", text, "B", **info)
    earned = of_map(drawn, MAP)
    assert scores["map"] == pytest.approx(earned)
    assert scores["score"] == pytest.approx(2 + earned if earned > 0 else 1.0)


@pytest.mark.parametrize(
    ("given", "truth", "accuracy"),
    [("a", "1", 1.0), ("3", "4", 0.6), ("1", "2", 0.1), ("3 beds, a sofa", "3", 0.0)],
)
def test_edges_of_spacers_numbers(given: str, truth: str, accuracy: float) -> None:
    text = f"<think>x</think><answer>{given}</answer>"
    assert paid("spacer_7b", "numerical", text, truth)["accuracy"] == accuracy


def test_a_map_where_none_is_asked_for_undoes_the_answer_as_there() -> None:
    text = f"<think><map>{json.dumps(MAP)}</map></think><answer>B</answer>"
    scores = paid("spacer_7b", "multiple_choice", text, "B", options=("left", "right"))
    assert (scores["score"], scores["accuracy"]) == (1.0, 0.0)
    assert paid("spacer_7b", "OCR", text, "B")["score"] == 2.0  # whose maps nobody looks at


# --- SpatialLadder ---


def of_spld(text: str) -> tuple[str, float]:
    found = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    answer = found[-1] if found else text
    for end in "\n\r":
        kept = ""
        for place, sign in enumerate(answer):
            spaced = place > 0 and answer[place - 1].isspace()
            kept += "" if sign == end and spaced else sign
        answer = kept.replace(end, " ")
    whole = has_form(text.strip()) and text.count("<think>") == text.count("<answer>") == 1
    return answer.strip().rstrip(".").lower(), float(whole)


@pytest.mark.parametrize(
    ("task", "truth"),
    [("relative_distance", "B"), ("object_count", "4"), ("absolute_distance", "2.5")],
)
@given(text=said("B", "b.", " B..", "4", "4.", "3", "2.5 ", "\n2", "four", "1\n2", "none"))
def test_spatialladder_takes_the_last_answer_in_small_letters(
    task: str, truth: str, text: str
) -> None:
    answer, form = of_spld(text)
    letters = task == "relative_distance"
    try:
        accuracy = float(answer == "b") if letters else mra(float(answer), float(truth))
    except ValueError:
        accuracy = 0.0
    info = {"options": ("near", "far")} if letters else {}
    scores = paid("spatialladder_3b", task, text, truth, "reason", **info)
    assert [scores[key] for key in SCORED] == pytest.approx([accuracy + form, form, accuracy])


# --- Time-R1 ---


@given(
    text=said("1.5 to 4", "1 and 3 TO 6", "4 to 1.5", "12 to 3000", "2to4", "0 to 10. to 5"),
    truth=st.tuples(st.floats(0, 4), st.floats(5, 9)).map(list),
)
def test_time_r1_measures_overlap_and_both_ends(text: str, truth: list[float]) -> None:
    found = re.findall(r"<answer>(.*?)</answer>", text.strip(), re.DOTALL)
    times = re.findall(r"(\d+\.?\d*) (?:to|and) (\d+\.?\d*)", found[-1] if found else "", re.I)
    reward = 0.0
    if times:
        (start, end), (a, b) = map(float, times[-1]), truth
        shared = max(0.0, min(end, b) - max(start, a))
        hull = max(end, b) - min(start, a)
        reward = shared / hull * (1 - abs(start - a) / 10) * (1 - abs(end - b) / 10)
    scores = paid("time_r1_3b", "free_form", text, truth, "round1", facts={"duration": 10.0})
    expected = max(0.0, reward) + has_form(text.strip())
    assert scores["score"] == pytest.approx(expected, abs=1e-9)


def test_time_r1_wants_a_duration_and_an_interval() -> None:
    text = "<answer>1 to 2</answer>"
    with pytest.raises(ValueError, match="duration"):
        paid("time_r1_3b", "free_form", text, [1, 2], "round1")
    with pytest.raises(ValueError, match=r"no \[start, end\]"):
        paid("time_r1_3b", "free_form", text, "soon", "round1", facts={"duration": 3})


# --- OneThinker ---

BOXES = {"1": [0, 0, 10, 10], "2": [0, 0, 20, 20]}
number = st.integers(0, 12)
box = st.tuples(number, number, number, number).map(list)
boxes = st.dictionaries(st.sampled_from(["1", "2", "3"]), box, max_size=3)


def iou(a: list[float], b: list[float]) -> float:
    wide = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = sum(max(0, c[2] - c[0]) * max(0, c[3] - c[1]) for c in (a, b)) - wide
    return wide / area if area > 0 else 0.0


def hull_iou(a: list[float], b: list[float]) -> float:
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (max(a[1], b[1]) - min(a[0], b[0]))


def onethinker(task: str, answer: Any, truth: Any, think: bool) -> dict[str, float]:
    text = f"<answer>{json.dumps(answer)}</answer>"
    whole = f"<think>x</think>{text}" if think else text
    return dict(paid("onethinker_8b", task, whole, json.dumps(truth), "rl_video"))


@given(time=st.tuples(st.integers(0, 5), st.integers(6, 9)).map(list), think=st.booleans())
def test_onethinker_measures_time_by_the_hull(time: list[int], think: bool) -> None:
    scores = onethinker("temporal_grounding", {"time": time}, {"time": [2, 7]}, think)
    assert scores["accuracy"] == pytest.approx(hull_iou(time, [2, 7]))
    expected = 0.9 * scores["accuracy"] + (0.1 + 0.5 if think else 0.0)
    assert scores["score"] == pytest.approx(expected)


@given(drawn=boxes, think=st.booleans())
def test_onethinker_follows_a_track_over_the_true_frames(drawn: Any, think: bool) -> None:
    scores = onethinker("tracking", {"boxes": drawn}, {"boxes": BOXES}, think)
    named = drawn.keys() & BOXES.keys()
    accuracy = sum(iou(drawn[frame], BOXES[frame]) for frame in named) / 2
    shape = 0.5 * bool(drawn) + 0.5 * len(named) / 2
    assert scores["accuracy"] == pytest.approx(accuracy)
    assert scores["score"] == pytest.approx(0.9 * accuracy + (0.1 + 0.5 * shape if think else 0))


@given(drawn=boxes)
def test_onethinker_averages_boxes_over_common_frames_in_a_tube(drawn: Any) -> None:
    truth = {"time": [2, 7], "boxes": BOXES}
    scores = onethinker("spatial-temporal_grounding", {"time": [2, 6], "boxes": drawn}, truth, True)
    common = drawn.keys() & BOXES.keys()
    over = sum(iou(drawn[frame], BOXES[frame]) for frame in common) / max(1, len(common))
    accuracy = 0.5 * hull_iou([2, 6], [2, 7]) + 0.5 * over
    shape = 0.5 + 0.5 * len(common) / 2
    assert scores["score"] == pytest.approx(0.9 * accuracy + 0.1 + 0.5 * shape)


@given(drawn=box)
def test_onethinker_draws_a_box(drawn: list[int]) -> None:
    scores = onethinker("spatial_grounding", {"boxes": drawn}, {"boxes": BOXES["1"]}, True)
    assert scores["score"] == pytest.approx(0.9 * iou(drawn, BOXES["1"]) + 0.6)


@pytest.mark.parametrize(
    ("task", "answer", "truth", "accuracy"),
    [
        ("numerical", "3.141", "3.14", 1.0),
        ("numerical", "3.15", "3.14", 0.0),
        ("regression", "3", "4", 0.5),  # below, where at_most gives 0.6
        ("ocr", "to be or", "to be", 0.5),
        ("math", "1/2", "0.5", 1.0),
        ("multiple_choice", "(b)", "B", 1.0),
    ],
)
def test_onethinker_reads_the_whole_response_where_no_block_is(
    task: str, answer: str, truth: str, accuracy: float
) -> None:
    info = {"options": ("left", "right")} if task == "multiple_choice" else {}
    bare = paid("onethinker_8b", task, answer, truth, "rl_video", **info)
    assert bare["score"] == pytest.approx(0.9 * accuracy)
    whole = f"<think>x</think><answer>{answer}</answer>"
    scores = paid("onethinker_8b", task, whole, truth, "rl_video", **info)
    assert scores["score"] == pytest.approx(0.9 * accuracy + 0.1 + 0.5)


# --- all of them ---

JUNK = ["", "<answer>" * 2000, "</think><think>" * 2000, "<map>" + "[" * 9000, "1" * 9000]


@pytest.mark.parametrize(
    ("name", "stage", "task"),
    [
        (name, stage, task)
        for name, stage in [
            ("video_r1_7b", "rl"), ("spacer_7b", "rl"), ("spatialladder_3b", "reason"),
            ("onethinker_8b", "rl_image"),
        ]
        for task in load_recipe(name).tasks
    ],
)  # fmt: skip
@given(text=st.one_of(st.text(), st.sampled_from(JUNK)))
def test_nothing_that_a_policy_writes_raises(name: str, stage: str, task: str, text: str) -> None:
    grader = settings_of(name, stage)["tasks"][task]["grader"].rpartition(":")[2]
    truths = {
        "letter": "A", "words": "to be", "rouge": "to be", "math": "1/2", "interval": "[1, 2]",
        "box": "[0, 0, 1, 1]", "track": json.dumps(BOXES),
        "tube": json.dumps({"time": [1, 2], "boxes": BOXES}),
    }  # fmt: skip
    scores = paid(name, task, text, truths.get(grader, "4"), stage, facts={"cognitive_map": MAP})
    assert all(math.isfinite(value) and -1 <= value <= 3 for value in scores.values())
