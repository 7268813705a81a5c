"""The strict response format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.ota import TagsError, answer_block, parse

GOOD = "<observation>left</observation><think>so pan</think><answer>A</answer>"
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
