"""R = (1 - λ)·accuracy + λ·format: every output scores, and every broken sample raises."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.errors import CamReasonerError
from reward_plugins.reward import (
    REWARD_TYPE,
    BrokenSampleError,
    RewardSettingError,
    compute_score,
    compute_scores,
)

INFO = {"options": ["Yes", "No"], "sample_id": "pan_left_17"}
PIECES = [
    "<observation>",
    "</observation>",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "A",
    "B.",
]
responses = st.lists(
    st.sampled_from([*PIECES, " ", "Yes"])
    | st.text(st.characters(exclude_categories=()), max_size=5),
    max_size=20,
).map("".join)
ZERO = {"score": 0.0, "format": 0.0, "accuracy": 0.0}


def trace(answer: str) -> str:
    return f"<observation>it moves</observation><think>so</think><answer>{answer}</answer>"


@pytest.mark.parametrize(
    ("response", "form", "accuracy"),
    [
        (trace("A"), 1, 1),
        (trace("Yes"), 1, 1),
        (trace("A. Yes"), 1, 1),
        (trace("B"), 1, 0),
        (trace("A. No"), 1, 0),
        (trace("A or B"), 1, 0),
        ("<answer>A</answer>", 0, 1),
        ("A", 0, 0),
        ("A <answer>B</answer>", 0, 0),
        ("<answer>A</answer><answer>A</answer>", 0, 0),
        (trace("A") + trace("A"), 0, 0),
    ],
)
def test_strict_rewards(response: str, form: int, accuracy: int) -> None:
    free = compute_score("binary", response, "A", INFO, gate_accuracy_on_format=False)
    assert (free["format"], free["accuracy"]) == (form, accuracy)
    assert free["score"] == pytest.approx(0.9 * accuracy + 0.1 * form)
    gated = compute_score("binary", response, "A", INFO)
    assert (gated["format"], gated["accuracy"]) == (form, accuracy * form)


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.5, 1.0])
def test_format_weight_is_lambda(weight: float) -> None:
    wrong = compute_score("binary", trace("B"), "A", INFO, format_weight=weight)
    assert wrong["score"] == weight
    assert compute_score("binary", trace("A"), "A", INFO, format_weight=weight)["score"] == 1.0


def test_blocks_may_be_asked_for_content() -> None:
    empty = "<observation> </observation><think></think><answer>A</answer>"
    assert compute_score("binary", empty, "A", INFO)["score"] == 1.0
    assert compute_score("binary", empty, "A", INFO, min_block_chars=2) == ZERO
    assert compute_score("binary", trace("A"), "A", INFO, min_block_chars=2)["score"] == 1.0
    assert compute_score("binary", trace("A"), "A", INFO, min_block_chars=3)["score"] == 0.0


def test_think_answer_format() -> None:
    response = "<think>so</think><answer>A</answer>"
    assert compute_score("binary", response, "A", INFO, tags=["think", "answer"])["score"] == 1.0
    assert compute_score("binary", response, "A", INFO) == ZERO
    released = compute_score(
        "binary", response, "A", INFO, tags=["think", "answer"], matching="as_released"
    )
    assert released["score"] == 1.0


def test_options_as_a_list_or_as_json() -> None:
    listed = compute_score("binary", trace("Yes"), "A", INFO)
    packed = compute_score("binary", trace("Yes"), "A", {"options": '["Yes", "No"]'})
    assert listed == packed == {"score": 1.0, "format": 1.0, "accuracy": 1.0}


@given(
    st.one_of(st.none(), st.binary(), st.integers(), responses),
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from(["strict", "as_released"]),
)
def test_every_output_scores_within_bounds(
    response: object, weight: float, gate: bool, matching: str
) -> None:
    scores = compute_score(
        "binary",
        response,
        "A",
        INFO,
        format_weight=weight,
        gate_accuracy_on_format=gate,
        matching=matching,
    )
    form, accuracy = scores["format"], scores["accuracy"]
    assert {form, accuracy} <= {0.0, 1.0}
    assert scores["score"] == (1 - weight) * accuracy + weight * form
    assert not (gate and accuracy > form)


@pytest.mark.parametrize("truth", [None, "", "C", "a", "AB", "Yes", 0, b"A", "(A)"])
@pytest.mark.parametrize("matching", ["strict", "as_released"])
def test_a_broken_truth_raises_and_names_the_sample(truth: object, matching: str) -> None:
    with pytest.raises(BrokenSampleError, match="pan_left_17"):
        compute_score("binary", trace("A"), truth, INFO, matching=matching)
    with pytest.raises(BrokenSampleError, match="pan_left_17"):
        compute_score("binary", None, truth, INFO, matching=matching)


@pytest.mark.parametrize("options", ["[", '"ab"', "3", "{}", [], [1, 2], 5, {"A": "Yes"}, b"AB"])
def test_broken_options_raise_and_name_the_sample(options: object) -> None:
    with pytest.raises(BrokenSampleError, match=r"pan_left_17.*options"):
        compute_score("binary", trace("A"), "A", {**INFO, "options": options})


def test_an_unknown_task_is_an_error_not_a_score() -> None:
    assert compute_score("binary", trace("A"), "A", INFO, tasks=["binary"])["score"] == 1.0
    with pytest.raises(BrokenSampleError, match=r"pan_left_17.*'regression'.*binary"):
        compute_score("regression", trace("A"), "A", INFO, tasks=["binary"])


@pytest.mark.parametrize(
    "setting",
    [
        {"format_weight": 1.5},
        {"format_weight": -0.1},
        {"format_weight": float("nan")},
        {"matching": "loose"},
        {"matching": "as_released", "min_block_chars": 3},
    ],
)
def test_bad_settings_raise(setting: dict[str, Any]) -> None:
    with pytest.raises(RewardSettingError, match=next(reversed(setting))):
        compute_score("binary", trace("A"), "A", INFO, **setting)


def test_errors_survive_pickling() -> None:
    with pytest.raises(ValueError, match="pan_left_17") as caught:
        compute_score("binary", trace("A"), None, INFO)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, CamReasonerError)
    assert str(copy) == str(caught.value)


def test_the_batch_form_agrees_with_the_single_one() -> None:
    truth = json.dumps({"answer": "A", "task": "binary", **INFO})
    answers = ["A", "Yes", "B", "A or B"]
    batch = [{"response": trace(a), "response_length": 9, "ground_truth": truth} for a in answers]
    singles = [compute_score("binary", trace(a), "A", INFO, format_weight=0.2) for a in answers]
    scored = compute_scores(batch, format_weight=0.2, tasks=["binary"])
    assert [s["overall"] for s in scored] == [s["score"] for s in singles]
    assert [(s["format"], s["accuracy"]) for s in scored] == [
        (s["format"], s["accuracy"]) for s in singles
    ]
    assert REWARD_TYPE == "batch"


def test_the_batch_form_takes_bare_letters() -> None:
    item = {"response": trace("(b)"), "response_length": 9, "ground_truth": "B"}
    assert compute_scores([item]) == [{"overall": 1.0, "format": 1.0, "accuracy": 1.0}]


@pytest.mark.parametrize("truth", ["{", "{}", None, json.dumps({"sample_id": "x", "answer": "ZZ"})])
def test_the_batch_form_raises_for_broken_samples(truth: str | None) -> None:
    with pytest.raises(BrokenSampleError, match="can't be scored"):
        compute_scores([{"response": trace("A"), "response_length": 9, "ground_truth": truth}])


def test_workers_load_nothing_but_the_standard_library() -> None:
    code = "import sys, reward_plugins.reward as r; print(*(set(sys.modules) & set(sys.argv[1:])))"
    heavy = ["torch", "numpy", "pydantic", "transformers", "ray", "verl", "omegaconf"]
    run = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (0, "")
