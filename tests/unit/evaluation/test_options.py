"""Where a response gives its answer, and what a server's log-probabilities say of the options."""

from __future__ import annotations

import math

import pytest

from orchestrator.evaluation.engines.options import Options, answer_place, read_probabilities

TAGS = ("observation", "think", "answer")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<observation>o</observation><think>t</think><answer>B</answer>", "B</answer>"),
        ("<think>t</think><answer>\n  B", "B"),
        ("B. pan left", "B. pan left"),
        ("  Yes", "Yes"),
        ("", ""),
        ("<answer>", ""),
        ("<observation>o</observation><think>no end", None),
        ("<answer>A</answer><answer>B</answer>", None),
    ],
)
def test_a_response_gives_its_answer_in_one_place(text: str, answer: str | None) -> None:
    place = answer_place(text, TAGS)
    assert (None if place is None else text[place:]) == answer


def test_options_of_several_tokens_are_read_token_by_token() -> None:
    options = Options(3, ((7,), (8, 7), (8, 9, 1)))
    assert options.heads == [(), (8,), (8, 9)]
    logs = {(): {7: 0.5, 8: 0.25}, (8,): {7: 0.5, 9: 0.5}, (8, 9): {1: 0.5}}
    logged = {head: {t: math.log(p) for t, p in row.items()} for head, row in logs.items()}
    assert options.probabilities(logged) == pytest.approx([0.5, 0.125, 0.0625])


Told = list[tuple[str, dict[str, float]]]


def told(*places: tuple[str, dict[str, float]]) -> Told:
    return [(text, {t: math.log(p) for t, p in likely.items()}) for text, likely in places]


def trace(*places: tuple[str, dict[str, float]]) -> Told:
    before = [(text, {text: 1.0}) for text in ("<think>", "A", "</", "think", "><", "answer")]
    return told(*before, *places)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (trace((">", {">": 1.0}), ("B", {"B": 0.75, "A": 0.25})), [0.25, 0.75]),
        (trace((">B", {">B": 0.5, ">A": 0.25, ">C": 0.25})), [0.25, 0.5]),
        (trace((">\n", {">\n": 1.0}), (" A", {" A": 0.5, " B": 0.25, "A": 0.25})), [0.5, 0.25]),
        (trace((">", {">": 1.0}), ("A", {"A": 1.0})), [1.0, 0.0]),
        (trace((">", {">": 1.0})), None),
        (told(("B", {"B": 0.5, "A": 0.125})), [0.125, 0.5]),
        (told(("<think>", {"<think>": 1.0}), ("B", {"B": 1.0})), None),
        ([], None),
    ],
)
def test_options_are_read_from_the_likeliest_tokens(
    places: Told, expected: list[float] | None
) -> None:
    given = read_probabilities(places, ("A", "B"), TAGS)
    assert given == (expected and pytest.approx(expected))


def test_without_options_nothing_is_read() -> None:
    assert read_probabilities(told(("7", {"7": 1.0})), (), TAGS) is None
