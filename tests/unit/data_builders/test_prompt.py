"""The text that SFT, RL and evaluation share."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from data_builders.prompt import trace_text, user_text
from data_builders.specs import PromptSpec
from tests.givens import question

SAMPLE = question(
    1, answer="B", observation="The scene moves left.", think="So the camera pans right."
)


def test_options_are_lettered_one_a_line() -> None:
    assert user_text(SAMPLE, PromptSpec()) == "Does the camera pan left?\nA. Yes\nB. No"


def test_braces_in_a_question_are_text() -> None:
    odd = SAMPLE.model_copy(update={"question": "Is {this} {0} fine?"})
    assert user_text(odd, PromptSpec(template="Q: {question}")) == "Q: Is {this} {0} fine?"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{question} {option}", "nothing fills in {option}"),
        ('{question} Reply {"answer": "A"}', """nothing fills in {"answer"}"""),
        ("{question} {", "Single '{' encountered"),
        ("{question} {}", "nothing fills in {}"),
        ("Which?\n{options}", "has no {question}"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused_when_it_is_read(
    template: str, said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        PromptSpec(template=template)
    assert said in str(caught.value)


def test_a_brace_is_written_twice() -> None:
    prompt = PromptSpec(template='{question} Reply {{"answer": {{}}}}')
    assert user_text(SAMPLE, prompt).endswith(' Reply {"answer": {}}')


def test_a_trace_has_the_blocks_of_the_format_in_order() -> None:
    assert trace_text(SAMPLE, PromptSpec()) == (
        "<observation>The scene moves left.</observation>"
        "<think>So the camera pans right.</think><answer>B</answer>"
    )
    assert trace_text(SAMPLE, PromptSpec(tags=("answer",))) == "<answer>B</answer>"


def test_a_sample_without_a_trace_cannot_teach_the_format() -> None:
    with pytest.raises(ValueError, match="'s1' has no think"):
        trace_text(SAMPLE.model_copy(update={"think": None}), PromptSpec())


def test_without_tags_a_trace_is_the_bare_answer() -> None:
    assert trace_text(SAMPLE, PromptSpec(tags=())) == "B"


def test_a_task_may_have_a_tail_and_a_system_turn_of_its_own() -> None:
    prompt = PromptSpec(tails={"binary": "Say Yes or No."}, systems={"binary": "You see well."})
    assert user_text(question(), prompt).endswith("B. No\nSay Yes or No.")
    other = question(task="other")
    assert user_text(other, prompt) == user_text(other, PromptSpec())
    assert prompt.system_of("binary") == "You see well."
    assert prompt.system_of("other") == PromptSpec().system
