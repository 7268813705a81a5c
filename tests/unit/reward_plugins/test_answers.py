"""Which option an answer commits to: every way to say one, no way to say none or two."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.answers import LETTERS, answer_letter

NO_YES = ["No", "Yes"]
MOVES = ["Pan left", "Pan right", "Tilt up", "Static"]
THREE = ["Yes", "No", "It can't be told"]

SECOND = (
    "B", "b", " B\n", "(B)", "B.", "B)", "B:", "B;", "B,", "B!", "(B).", "( B )", "[B]", "{B}",
    "**B**", "*B*", "__B__", "`B`", '"B"', "'B'", "“B”", "‘B’", "B。", "（B）", "【B】", "$B$",  # noqa: RUF001
    "\\boxed{B}", "$\\boxed{\\text{B}}$", "B Yes", "B - Yes", "B – Yes", "B (Yes)", "B: yes!",  # noqa: RUF001
    "B) Yes.", "(B) Yes", "[B] Yes", "**B. Yes**", "**B**. Yes", "B.Yes", "B. Yes, it does",
    "B. Yes, because the wall slides", "B. Yes. The wall slides left.", "Option B", "option (b)",
    "Option B: Yes", "choice B", "Choice (B)", "Answer: B", "Answer B", "**Answer:** B",
    "Final answer: B", "My answer is B", "The answer is B", "The answer is B.", "The answer is: B",
    "The answer is **B**", "The answer is (B) Yes", "The correct answer is B",
    "So the answer is option B", "The best option is B", "The most likely answer is B",
    "I choose B", "Option B is right", "It is B",
    "It's B", "B is correct", "B is the correct answer",
    "Yes", "yes.", " YES ", "Yes!", '"Yes"', "**Yes**", "Yes, it does",
    "Yes it does", "Yes, it does.", "Yes, the camera moves", "The answer is Yes", "Answer: yes",
    "Yes (B)", "Yes: B", "Yes, since the wall slides",
)  # fmt: skip
FIRST_OF_MOVES = (
    "Pan left", "pan left", "pans left", "panning left", "The camera pans left",
    "The camera pans left.", "The camera is panning left", "A camera pans left", "It pans left",
    "The camera pans to the left", "Camera pans left", "The shot is a pan left",
    "This is a pan left", "The camera pans left slowly", "The camera pans left in this clip.",
    "A. The camera pans left", "The camera pans left, following the car", "Answer: pan left",
    "**Pan left**", "Pan left (A)", "A - Pan left, as the wall slides right",
)  # fmt: skip
NONE_OR_TWO = (
    "", " ", ".", "**", '""', "[]", "\\boxed{}", "C", "Z", "1", "answer: C", "Option", "Choice",
    "Answer", "The answer", "The answer is", "Maybe", "Ya", "Bee", "yesno", "AB", "BB", "B1",
    "A B", "A, B", "A/B", "A|B", "A+B", "A & B", "A-B", "A - B", "A>B", "B=A", "A or B", "B or A",
    "B, or A", "A and B", "B and A", "A. B", "(A)(B)", "[A][B]", "**A** **B**", "\\boxed{A,B}",
    "\\boxed{A}\\boxed{B}", "Answer: A Answer: B", "option A, option B", "The answer is A or B",
    "The answer is B or maybe A", "Final answer: A. Wait, B", "both", "both A and B", "either",
    "neither", "neither A nor B", "All of the above", "none of the above", "A Yes", "A (Yes)",
    "A - Yes", "A. Yes", "B No", "B (No)", "B - No", "B. No", "Yes No", "yes, no", "No, yes",
    "yes and no", "Yes/No", "Yes-No", "Yes. No.", "B. Yes A. No", "A. No B. Yes", "B Yes A No",
    "B. Yes or no", "B. yes, no", "B. Yes, it does. A. No", "Yes (A)", "not B", "Not A", "not yes",
    "-B", "!B", "~B", "¬B", "≠B", "anything but B", "The answer is not B", "B is wrong",
    "B is incorrect", "Yes is wrong", "Yes, wrong", "Yes, it does not", "Yes it doesn't",
    "No, it does", "B?", "Yes?", "Is it B?", "B...", "B…", "B%", "B+", "maybe B", "B, maybe",
    "B. Maybe", "B Maybe", "probably B", "perhaps yes", "I think B", "B, I think", "I guess B",
    "B, but maybe A", "B. Yes, but it could be no", "B unless A", "B if it moves",
    "Yes, if it moves", "Yes, sometimes or never", "It depends", "unsure", "I don't know",
    "Not sure", "Å", "\u017f", "\u212a", "Ｂ", "Ⓑ", "В",  # noqa: RUF001
)  # fmt: skip
NONE_OR_TWO_MOVES = (
    "left", "pan", "The camera pans", "It pans", "pans up", "Tilt left", "Pan leftright",
    "The camera does not pan left", "no pan left", "not static", "The camera is not static",
    "It isn't static", "almost static", "rather static", "The opposite of pan left",
    "The camera pans left then right", "The camera pans left and right", "Pan left/right",
    "The camera pans left and tilts up", "The camera pans left, then tilts up",
    "The camera pans left while tilting up", "The camera pans left, and up", "pan left, pan right",
    "pan left pan right", "pan left. pan right.", "pan left or right", "Pan left?",
    "maybe pan left", "either pan left or tilt up", "The camera might pan left", "pan left, maybe",
    "Pan left. Not sure", "pan left but right at the end", "The camera pans left-right",
    "the camera pans left before it pans right", "A pan right", "A. Pan right", "A (Pan right)",
    "A: static", "B. Tilt up", "C. Static", "D or pan left", "pan left D", "Pan left (D)", "E",
    "E. Pan left", "Pan left A or B", "A right", "B left",
)  # fmt: skip


@pytest.mark.parametrize("text", SECOND)
def test_what_people_read_as_the_second_option(text: str) -> None:
    assert answer_letter(text, NO_YES) == "B"


@pytest.mark.parametrize("text", FIRST_OF_MOVES)
def test_a_sentence_may_say_an_options_text(text: str) -> None:
    assert answer_letter(text, MOVES) == "A"


@pytest.mark.parametrize("text", NONE_OR_TWO)
def test_what_commits_to_none_or_two(text: str) -> None:
    assert answer_letter(text, NO_YES) is None


@pytest.mark.parametrize("text", NONE_OR_TWO_MOVES)
def test_sentences_that_commit_to_none_or_two(text: str) -> None:
    assert answer_letter(text, MOVES) is None


@pytest.mark.parametrize("text", ["A. No", "No, it does not", "No, it doesn't.", "No it is not"])
def test_a_no_may_be_repeated_as_a_denial(text: str) -> None:
    assert answer_letter(text, NO_YES) == "A"


def test_the_longest_option_is_the_one_said() -> None:
    options = ["Pan left", "Pan left and up", "Medium", "Medium close-up", "close-up"]
    assert answer_letter("The camera pans left and up", options) == "B"
    assert answer_letter("This is a medium close-up", options) == "D"
    assert answer_letter("D. Medium close-up", options) == "D"


@pytest.mark.parametrize("text", ["-5", "5.7", "5, 10", "5-10", "5/10", "10 m", "5 or so", "~5"])
def test_a_number_is_not_another_that_holds_it(text: str) -> None:
    assert answer_letter(text, ["5", "10"]) is None
    assert answer_letter("The answer is 10.", ["5", "10"]) == "B"


def test_words_are_no_letters() -> None:
    nine = [f"motion number {n}" for n in range(9)]
    assert answer_letter("I think so", nine) is None
    assert answer_letter("I. think so", nine) is None
    assert answer_letter("A man walks", ["A dog runs", "A man walks"]) == "B"
    assert answer_letter("A. Yes", ["A. No", "A. Yes"]) == "B"
    assert answer_letter("A", ["B", "A"]) == "A"


def test_a_repeated_text_names_no_option_but_its_letters_do() -> None:
    options = ["pan", "tilt", "Pan."]
    assert answer_letter("pan", options) is None
    assert answer_letter("The camera pans", options) is None
    assert answer_letter("A", options) == "A"
    assert answer_letter("tilt", options) == "B"


def test_without_options_any_letter_goes() -> None:
    assert answer_letter("Q", None) == "Q"
    assert answer_letter("A. Yes", None) == answer_letter("**A** - No", None) == "A"
    for text in ("Yes", "A. Yes B. No", "A B C D", "A man walks"):
        assert answer_letter(text, None) is None


@pytest.mark.parametrize("value", [None, b"A", 3, ["A"], float("nan")])
def test_what_is_not_text_names_nothing(value: object) -> None:
    assert answer_letter(value, THREE) is None


pieces = st.one_of(
    st.sampled_from(
        ["A", "B.", "(C)", "Option D", "Yes", "no", "\\boxed{", "**", "?", "or", "not"]
    ),
    st.text(st.characters(exclude_categories=()), max_size=5),
)
texts = st.lists(pieces, max_size=12).map(" ".join)
letters = st.sampled_from("ABC")
brackets = st.sampled_from(["{}", "**{}**", "({})", "[{}]", '"{}"', "\\boxed{{{}}}"])
dresses = brackets | st.sampled_from(
    ["{}.", "{}!", "{},", "Answer: {}", "The answer is {}", "option {}"]
)


@given(texts, st.lists(st.text(), max_size=30))
def test_an_answer_is_total_and_within_the_options(text: str, options: list[str]) -> None:
    assert answer_letter(text, options) in {None, *LETTERS[: len(options)]}


@given(st.integers(1, 26), st.sampled_from(string.ascii_uppercase), brackets, dresses)
def test_every_letter_names_itself_alone_in_any_dress(
    n: int, letter: str, inner: str, outer: str
) -> None:
    options = [f"motion number {i}" for i in range(n)]
    dressed = outer.format(inner.format(letter))
    assert answer_letter(dressed, options) == (letter if letter in LETTERS[:n] else None)


@given(letters, letters, dresses, dresses, st.sampled_from([" ", ", ", " or ", "/", " and ", ". "]))
def test_two_letters_are_none(one: str, two: str, first: str, second: str, joint: str) -> None:
    said = answer_letter(first.format(one) + joint + second.format(two), THREE)
    assert said is None or said == one == two


@given(letters, st.sampled_from(["not {}", "maybe {}", "{}?", "{}, but", "{} or", "I think {}"]))
def test_a_hedge_is_none_in_letter_and_text(letter: str, hedge: str) -> None:
    for said in (letter, MOVES[LETTERS.index(letter)], f"{letter}. {MOVES[LETTERS.index(letter)]}"):
        assert answer_letter(hedge.format(said), MOVES) is None


@given(texts, letters)
def test_what_counts_counts_for_no_other_option(text: str, truth: str) -> None:
    said = answer_letter(text, THREE)
    assert sum(said == letter for letter in LETTERS) <= 1
    if said is not None and said != truth:
        assert answer_letter(f"{text} or {truth}", THREE) is None


@pytest.mark.parametrize("unit", ["A ", "Yes ", "Answer: ", "The answer is ", "(", "**", "no, "])
def test_a_megabyte_of_anything_names_nothing(unit: str) -> None:
    assert answer_letter(unit * (1_000_000 // len(unit)), THREE) is None
