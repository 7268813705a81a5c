"""The strict response format, and which option an answer names."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.ota import LETTERS, TagsError, answer_block, answer_letter, parse

GOOD = "<observation>left</observation><think>so pan</think><answer>A</answer>"
OPTIONS = ["Yes", "No", "It can't be told"]
MARKS = [f"<{slash}{tag}>" for tag in ("observation", "think", "answer") for slash in ("", "/")]

# Text as a policy may emit it: tags, whitespace, letters, and any code point, surrogates too.
responses = st.lists(
    st.one_of(
        st.sampled_from([*MARKS, " ", "\n", "A", "B.", "(C)", "Option D", "<", "/"]),
        st.text(st.characters(exclude_categories=()), max_size=5),
    ),
    max_size=20,
).map("".join)


def test_blocks_are_stripped_and_named() -> None:
    trace = parse("\n<observation> a </observation>\n<think>b\n</think> <answer>\tA </answer>\n")
    assert trace is not None
    assert (trace.observation, trace.think, trace.answer) == ("a", "b", "A")
    assert trace.blocks == {"observation": "a", "think": "b", "answer": "A"}


def test_tags_of_another_format() -> None:
    trace = parse("<think>b</think><answer>A</answer>", tags=("think", "answer"))
    assert trace is not None
    assert (trace.observation, trace.think, trace.answer) == (None, "b", "A")
    assert parse(GOOD, tags=("think", "answer")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "<answer>A</answer>",
        "<think>b</think><answer>A</answer>",
        "so: " + GOOD,
        GOOD + " done",
        GOOD + GOOD,
        "<think>b</think><observation>a</observation><answer>A</answer>",
        "<observation>a</observation> then <think>b</think><answer>A</answer>",
        "<observation>a</observation><think>b</think><answer>A",
        "<Observation>a</Observation><Think>b</Think><Answer>A</Answer>",
        "<observation>a</observation><think>b</think ><answer>A</answer>",
        "<observation>a<think>b</think></observation><think>c</think><answer>A</answer>",
        "<observation>a</observation><think>b</think><think>c</think><answer>A</answer>",
        "<observation>a</observation><think>b</think><answer>A</answer><answer>B</answer>",
        "<observation>a</observation><think><answer>B</answer></think><answer>A</answer>",
        "<observation>a</observation><think>b</observation></think><answer>A</answer>",
        "<observation>a</observation><think>b</think><answer><answer>A</answer>",
    ],
)
def test_anything_else_is_rejected(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("value", [None, b"<answer>A</answer>", 3, ["A"], float("nan")])
def test_what_is_not_text_means_nothing(value: object) -> None:
    assert parse(value) is None
    assert answer_block(value) is None
    assert answer_letter(value, OPTIONS) is None


@pytest.mark.parametrize(
    "tags", [(), ("think",), ("answer", "answer"), ("a b", "answer"), ("<", "answer")]
)
def test_unusable_tags_are_an_error(tags: tuple[str, ...]) -> None:
    with pytest.raises(TagsError, match="tags"):
        parse(GOOD, tags=tags)


@given(st.lists(st.text(st.characters(exclude_characters="<>")), min_size=3, max_size=3))
def test_what_is_put_in_comes_out(blocks: list[str]) -> None:
    o, t, a = blocks
    trace = parse(f"<observation>{o}</observation>\n<think>{t}</think><answer>{a}</answer> ")
    assert trace is not None
    assert list(trace.blocks.values()) == [block.strip() for block in blocks]


@given(responses)
def test_parsing_is_total_and_means_once_each_in_order(text: str) -> None:
    trace = parse(text)
    if trace is not None:
        assert [text.count(mark) for mark in MARKS] == [1] * 6
        assert sorted(MARKS, key=text.index) == MARKS
        assert answer_block(text) == trace.answer


@pytest.mark.parametrize(
    "unit", ["<think>", "<answer>A</answer>", "</think><think>", " ", "<", "\ud800"]
)
def test_a_megabyte_of_anything_is_no_trace(unit: str) -> None:
    assert parse(unit * (1_000_000 // len(unit))) is None


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("<answer> A </answer>", "A"),
        ("noise <answer>A</answer> noise", "A"),
        ("A", None),
        ("<answer>A", None),
        ("</answer>A<answer>", None),
        ("<answer>A</answer><answer>B</answer>", None),
        ("<answer><answer>A</answer>", None),
    ],
)
def test_the_only_answer_block(text: str, block: str | None) -> None:
    assert answer_block(text) == block


FIRST = ["A", "a", " A\n", "(A)", "A.", "A)", "A:", "(A).", "Option A", "option (a)", "Option A."]
FIRST += [
    "A. Yes",
    "A: yes",
    "A) Yes.",
    "(A) Yes",
    "Option A: Yes",
    "Yes",
    "yes.",
    " YES ",
    "A.Yes",
]


@pytest.mark.parametrize("text", FIRST)
def test_ways_to_name_the_first_option(text: str) -> None:
    assert answer_letter(text, OPTIONS) == "A"


NEITHER = ["", " ", ".", "D", "Z", "A B", "A, B", "A or B", "A and B", "AB", "AA", "A. B", "(A)(B)"]
NEITHER += ["A. No", "Option A: No", "Yes No", "no yes", "A. Yes B. No", "A B C D", "Maybe", "Ya"]
NEITHER += ["Option", "Option Yes", "A Yes", "-A", "The answer is A", "A. Yes or B. No", "1"]
NEITHER += ["\u00c5", "\u017f", "\u212a", "\uff21"]  # letters that only look like ASCII


@pytest.mark.parametrize("text", NEITHER)
def test_what_names_no_option_or_two(text: str) -> None:
    assert answer_letter(text, OPTIONS) is None


def test_a_repeated_text_names_no_option_but_its_letters_do() -> None:
    options = ["pan", "tilt", "Pan."]
    assert answer_letter("pan", options) is None
    assert answer_letter("A", options) == "A"
    assert answer_letter("tilt", options) == "B"


def test_the_letter_wins_over_a_text_that_is_a_letter() -> None:
    assert answer_letter("A", ["B", "A"]) == "A"


def test_options_may_start_like_an_answer() -> None:
    assert answer_letter("A man walks", ["A dog runs", "A man walks"]) == "B"
    assert answer_letter("A. Yes", ["A. No", "A. Yes"]) == "B"


def test_without_options_any_letter_goes() -> None:
    assert answer_letter("Q", None) == "Q"
    assert answer_letter("A. Yes", None) == "A"
    assert answer_letter("Yes", None) is None
    assert answer_letter("A. Yes B. No", None) is None
    assert answer_letter("A B C D", None) is None


@given(responses, st.lists(st.text(), max_size=30))
def test_an_answer_is_total_and_within_the_options(text: str, options: list[str]) -> None:
    assert answer_letter(text, options) in {None, *LETTERS[: len(options)]}


@given(st.integers(1, 26), st.data())
def test_every_letter_names_itself_alone(n: int, data: st.DataObject) -> None:
    options = [f"motion number {i}" for i in range(n)]
    letter = data.draw(st.sampled_from(string.ascii_uppercase))
    expected = letter if letter in LETTERS[:n] else None
    assert answer_letter(f" ({letter.lower()}) ", options) == expected
