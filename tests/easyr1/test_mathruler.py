"""The released letter matching against the library it stands for."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_plugins.as_released import names_letter

grade_answer = pytest.importorskip(
    "mathruler.grader", reason="mathruler is not installed"
).grade_answer

WRAPPED = ["{}", "({})", "( {} )", "[{}]", "${}$", "{{{}}}", "(({}))", "\\boxed{{{}}}", " {}\n"]
WRAPPED += ["\\text{{{}}}", "\\textbf{{({})}}", "$\\boxed{{{}}}$", "{}%", "\\mathrm{{{}}}"]
REFUSED = ["{}.", "{})", "({}", "{}. Yes", "Option {}", "**{}**", "{}:", "{}, B", "-{}", "{}{}"]
REFUSED += ["\\mathbf{{{}}}", "Answer: {}", '"{}"', "{} or B", "[({})]"]

pieces = st.sampled_from([*"AaB()[]{}$%. ,*", "\\boxed{", "\\text{", "}", "\n"])


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("letter", string.ascii_uppercase)
def test_forms_that_both_accept(form: str, letter: str) -> None:
    for answer in (form.format(letter), form.format(letter.lower())):
        assert grade_answer(answer, letter)
        assert names_letter(answer, letter)


@pytest.mark.parametrize("form", REFUSED)
def test_forms_that_both_refuse(form: str) -> None:
    answer = form.format("A", "A")
    assert not grade_answer(answer, "A")
    assert not names_letter(answer, "A")


@settings(max_examples=300)
@given(st.lists(pieces, max_size=7).map("".join))
def test_nothing_is_accepted_that_mathruler_refuses(answer: str) -> None:
    if names_letter(answer, "A"):
        assert grade_answer(answer, "A")
