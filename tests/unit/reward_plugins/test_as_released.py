"""The released rules, line by line as the released code behaved on these responses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.as_released import has_format, names_letter, tighten
from reward_plugins.reward import compute_score

TAGS = ("observation", "think", "answer")
OBS, THINK, ANS = "<observation>a</observation>", "<think>b</think>", "<answer>A</answer>"


def trace(answer: str) -> str:
    return f"{OBS}{THINK}<answer>{answer}</answer>"


# response, format, accuracy; the right answer is A
EDGE_CASES = [
    (trace("A"), 1, 1),
    (trace("a"), 1, 1),
    (trace("(A)"), 1, 1),
    (trace("\\boxed{A}"), 1, 1),
    (trace("A."), 1, 0),
    (trace("A)"), 1, 0),
    (trace("A. Yes"), 1, 0),
    (trace("Option A"), 1, 0),
    (trace("**A**"), 1, 0),
    (trace("Yes"), 1, 0),
    ("A", 0, 1),
    (ANS, 0, 1),
    (THINK + ANS, 0, 1),
    ("Sure. " + trace("A"), 0, 1),
    (trace("A") + " Done.", 0, 1),
    (THINK + OBS + ANS, 0, 1),
    (f"{OBS}<think>b<\\think>{ANS}", 0, 1),
    (f"{OBS}{THINK}{ANS}<answer>B</answer>", 1, 1),
    (f"{OBS}{THINK}<answer>B</answer>{ANS}", 1, 0),
    (f"{OBS}<think>{ANS}</think><answer>B</answer>", 1, 1),
    (f"<observation></observation><think></think>{ANS}", 1, 1),
    (f"{OBS}{OBS}{THINK}{THINK}{ANS}", 1, 1),
    ("<Observation>a</Observation><Think>b</Think><Answer>A</Answer>", 0, 0),
    (f"{OBS}{THINK}<answer>A", 0, 0),
    (f"{OBS}{THINK}<answer>B</answer>", 1, 0),
    ("< observation >a< / observation >\n<think>pan / tilt</think> <answer> A < /answer>", 1, 1),
    (f"{OBS}{THINK}<answer></answer>", 1, 0),
    ("", 0, 0),
]


@pytest.mark.parametrize(("response", "form", "accuracy"), EDGE_CASES)
def test_edge_cases_ungated(response: str, form: int, accuracy: int) -> None:
    scores = compute_score(
        "binary", response, "A", matching="as_released", gate_accuracy_on_format=False
    )
    assert (scores["format"], scores["accuracy"]) == (form, accuracy)
    assert scores["score"] == pytest.approx(0.9 * accuracy + 0.1 * form)


@pytest.mark.parametrize("response", [None, b"A", 7])
def test_what_is_no_text_scores_nothing(response: object) -> None:
    scores = compute_score(None, response, "A", matching="as_released")
    assert scores == {"score": 0.0, "format": 0.0, "accuracy": 0.0}


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        *[(form, 1) for form in ("A", " a ", "((A))", "[A]", "$A$", "{A}", "\\text{(A)}")],
        *[(form, 0) for form in ("B", "AA", "A B", "A,", "", "()", "(A", "-A", "[[A]]")],
        *[(form, 0) for form in ("\\mathbf{A}", "\uff21", "(" * 50 + "A" + ")" * 50)],
    ],
)
def test_letters(answer: str, same: int) -> None:
    assert names_letter(answer, "A") == bool(same)


pieces = st.sampled_from(
    [*re.findall(r"<.*?>", OBS + THINK + ANS), "A", " ", "\n", "/", "<", ">", "x"]
)
texts = st.lists(pieces, max_size=24).map("".join)


@given(texts)
def test_tightening_is_the_plain_substitution(text: str) -> None:
    assert tighten(text) == re.sub(r"\s*(<|>|/)\s*", r"\1", text).strip()


@given(texts)
def test_format_is_that_of_the_pattern(text: str) -> None:
    tight = tighten(text)
    pattern = r"\s*".join(f"<{tag}>.*?</{tag}>" for tag in TAGS)
    assert has_format(tight, TAGS) == bool(re.fullmatch(pattern, tight, re.DOTALL))
