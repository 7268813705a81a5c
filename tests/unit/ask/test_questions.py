"""Questions as users write them, and responses as training reads them."""

from __future__ import annotations

import pytest

from data_builders.specs import MOTIONS, PromptSpec
from orchestrator.ask.errors import AskError
from orchestrator.ask.questions import about, card, read
from orchestrator.ask.recipe import by_name

TAGS = PromptSpec().tags


def test_a_question_of_yes_or_no_needs_no_options() -> None:
    asked = about("  does the camera\npan left? ", [])
    assert asked.turn(PromptSpec()) == "does the camera pan left?\nA. Yes\nB. No"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("What moves?", [], "no yes-or-no question"),
        (" ", [], "empty"),
        ("Which?", ["a"], "two or more"),
        ("Which?", ["a", "a "], "different"),
        ("Which?", ["a", ""], "different"),
        ("Which?", [str(n) for n in range(27)], "27 are more than the 26"),
    ],
)
def test_what_can_not_be_asked_is_said(text: str, options: list[str], said: str) -> None:
    with pytest.raises(AskError, match=said):
        about(text, options)


def test_a_card_asks_what_the_run_was_trained_on() -> None:
    assert [q.motion for q in card(by_name("camreasoner_7b").motions)] == list(MOTIONS)
    assert len(card(by_name("tiny").motions)) == 9


def test_a_well_formed_response_is_taken_apart() -> None:
    text = "<observation>It slides.</observation><think>So it pans.</think><answer>B</answer>"
    found = read(about("Is it?", []), {"text": text, "tokens": 9}, TAGS)
    assert (found.observation, found.think, found.letter, found.answer) == (
        "It slides.", "So it pans.", "B", "No"
    )  # fmt: skip
    assert found.well_formed and found.tokens == 9 and found.problem is None


@pytest.mark.parametrize(
    ("text", "letter", "answer"),
    [("<answer>A</answer> indeed", "A", "Yes"), ("<answer>maybe</answer>", None, "maybe"),
     ("I think so", None, None)],
)  # fmt: skip
def test_a_broken_response_keeps_its_words(
    text: str, letter: str | None, answer: str | None
) -> None:
    found = read(about("Is it?", []), {"text": text, "tokens": 3}, TAGS)
    assert (found.letter, found.answer, found.response) == (letter, answer, text)
    assert not found.well_formed and found.observation is None


def test_an_engine_error_is_no_answer() -> None:
    found = read(about("Is it?", []), {"error": "out of memory"}, TAGS)
    assert (found.response, found.letter, found.problem) == (None, None, "out of memory")
