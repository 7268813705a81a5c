"""Terms of a reward: weights, conditions, vetoes, groups, and what a broken one says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins import compute_score as plain_score
from reward_plugins.own import OwnCodeError
from reward_plugins.terms import Response, compute_score, compute_scores, over_group

TAGS = ("think", "answer")
TERM = {
    "weight": 1.0, "over": "response", "when": {}, "tasks": None, "veto": False, "arguments": {},
}  # fmt: skip
LENGTH = {
    **TERM,
    "function": "reward_plugins/systems/video_r1.py:length",
    "weight": 0.2,
    "over": "group",
    "when": {"accuracy": 0.1},
    "arguments": {"shortest": 320, "longest": 512},
}


def answered(letter: str) -> str:
    return f"<think>x</think><answer>{letter}</answer>"


def term(folder: Path, body: str, arguments: str = "response", **settings: Any) -> dict[str, Any]:
    path = folder / f"mine{abs(hash((body, arguments)))}.py"
    path.write_text(f"def f({arguments}):\n    return {body}\n")
    return {**TERM, "function": f"{path}:f", **settings}


def score(letter: str, terms: Any, task: str = "t", **info: Any) -> dict[str, float]:
    return dict(compute_score(task, answered(letter), "A", info, terms=terms, tags=TAGS))


def test_terms_are_added_by_weight_and_logged_by_name(tmp_path: Path) -> None:
    terms = {"half": term(tmp_path, "0.5", weight=2.0), "silent": term(tmp_path, "None")}
    assert score("A", terms) == {
        "score": 2.0, "format": 1.0, "accuracy": 1.0, "half": 0.5, "silent": 0.0,
    }  # fmt: skip


def test_a_term_waits_for_scores_and_tasks(tmp_path: Path) -> None:
    terms = {
        "right": term(tmp_path, "1.0", when={"accuracy": 0.5}),
        "after": term(tmp_path, "1.0", when={"right": 0.5}),
        "other": term(tmp_path, "1.0", tasks=["u"]),
    }
    right, wrong = score("A", terms), score("B", terms)
    assert (right["right"], right["after"], right["other"]) == (1.0, 1.0, 0.0)
    assert (wrong["right"], wrong["after"], wrong["score"]) == (0.0, 0.0, 0.1)
    assert score("A", terms, task="u")["other"] == 1.0


@pytest.mark.parametrize("weights", [{"format_weight": 0.1}, {"accuracy_weight": 1.0}])
def test_a_veto_takes_what_accuracy_earned(weights: dict[str, float], tmp_path: Path) -> None:
    veto = {"map": term(tmp_path, "0.0", veto=True, when={"accuracy": 0.5})}
    scores = compute_score("t", answered("A"), "A", {}, terms=veto, tags=TAGS, **weights)
    wrong = plain_score("t", answered("B"), "A", {}, tags=TAGS, **weights)
    assert scores == pytest.approx({**wrong, "map": 0.0})
    silent = {"map": term(tmp_path, "None", veto=True)}
    assert score("A", silent)["accuracy"] == 1.0


def test_a_term_may_know_progress_facts_and_tokens(tmp_path: Path) -> None:
    body = "progress + response.tokens + response.facts['n']"
    terms = {"all": term(tmp_path, body, "response, progress")}
    assert score("A", terms, progress=0.25, tokens=2, facts='{"n": 4}')["all"] == 6.25


group = st.lists(st.tuples(st.sampled_from("AB"), st.integers(300, 530)), min_size=1, max_size=8)


@given(group)
def test_a_group_pays_the_same_in_either_trainer(group: list[tuple[str, int]]) -> None:
    """0.2 for right responses of 320 to 512 tokens, if two of the group are right (Video-R1)."""
    terms, truth = {"length": LENGTH}, json.dumps({"answer": "A", "task": "t", "sample_id": "s"})
    inputs = [
        {"response": answered(letter), "response_length": tokens, "ground_truth": truth}
        for letter, tokens in group
    ]
    stranger = {**inputs[0], "ground_truth": truth.replace('"s"', '"other"')}
    *batch, alone = compute_scores([*inputs, stranger], terms=terms, tags=TAGS)
    responses = []
    for letter, tokens in group:
        scores = score(letter, terms, tokens=tokens)
        responses.append(Response(answered(letter), "t", "A", {"tokens": tokens}, scores))
    over_group(terms, responses, {})
    two = sum(letter == "A" for letter, _ in group) > 1
    expected = [float(two and letter == "A" and 320 <= n <= 512) for letter, n in group]
    assert [scores["length"] for scores in batch] == expected
    assert [scores["overall"] for scores in batch] == [r.scores["score"] for r in responses]
    pairs = zip(group, expected, strict=True)
    paid = [0.9 * (letter == "A") + 0.1 + 0.2 * own for (letter, _), own in pairs]
    assert [scores["overall"] for scores in batch] == pytest.approx(paid)
    assert alone["length"] == 0.0


@pytest.mark.parametrize("body", ["'x'", "float('nan')"])
def test_a_term_that_is_no_number_is_named_with_its_sample(body: str, tmp_path: Path) -> None:
    with pytest.raises(OwnCodeError, match=r"rl\.reward\.terms\.broken returned \[") as caught:
        score("A", {"broken": term(tmp_path, body)}, sample_id="s7")
    assert "'s7'" in caught.value.__notes__[0]


def test_a_group_of_another_size_is_refused(tmp_path: Path) -> None:
    short = {"short": term(tmp_path, "[1.0]", "group", over="group")}
    scores = [score("A", short, sample_id="s7") for _ in range(2)]
    with pytest.raises(OwnCodeError, match="not 2 finite numbers"):
        over_group(short, [Response("", "t", "A", {"sample_id": "s7"}, s) for s in scores], {})
