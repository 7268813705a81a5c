"""No shortcut earns more than an honest answer, nor as much as a right one."""

from __future__ import annotations

import pytest

from reward_plugins.reward import BrokenSampleError, compute_score

OPTIONS = {"options": ["no", "yes", "maybe", "none"], "sample_id": "s1"}
HONEST = (
    "<observation>the wall slides right</observation>"
    "<think>so the camera pans left</think><answer>{}</answer>"
)

HACKS = {
    "all tags, all letters": "<observation>A</observation><think>A</think><answer>A,B,C,D</answer>",
    "two answers": HONEST.format("A</answer><answer>B"),
    "two answers in one block": HONEST.format("A or B"),
    "all the letters": HONEST.format("A B C D"),
    "all the letters, glued": HONEST.format("ABCD"),
    "letter spam": HONEST.format("A" * 1000),
    "both texts": HONEST.format("no yes"),
    "a letter with another's text": HONEST.format("A. yes"),
    "every option in full": HONEST.format("A. no B. yes C. maybe D. none"),
    "an answer in every block": "<observation><answer>A</answer></observation>"
    "<think><answer>B</answer></think><answer>C</answer>",
    "answers outside the tag": "A B C D " + HONEST.format(""),
    "nested answers": HONEST.format("<answer>A</answer>"),
    "an unclosed flood": "<answer>A" * 100,
    "tags alone": "<observation></observation><think></think><answer></answer>",
    "the whole trace twice": HONEST.format("A") + HONEST.format("B"),
}


@pytest.mark.parametrize("hack", HACKS.values(), ids=HACKS)
@pytest.mark.parametrize("truth", "ABCD")
@pytest.mark.parametrize("gate", [True, False])
def test_no_hack_beats_an_honest_answer(hack: str, truth: str, gate: bool) -> None:
    def score(text: str) -> float:
        return compute_score("mc", text, truth, OPTIONS, gate_accuracy_on_format=gate)["score"]

    wrong = "B" if truth == "A" else "A"
    assert score(hack) <= score(HONEST.format(wrong))
    assert score(hack) < score(HONEST.format(truth))


@pytest.mark.parametrize("letter", "ABCD")
def test_one_letter_everywhere_is_a_plain_guess(letter: str) -> None:
    text = f"<observation>{letter}</observation><think>{letter}</think><answer>{letter}</answer>"
    total = sum(compute_score("mc", text, truth, OPTIONS)["accuracy"] for truth in "ABCD")
    assert total == 1.0
    demanding = compute_score("mc", text, letter, OPTIONS, min_block_chars=10)
    assert (
        demanding["score"]
        == 0.0
        < compute_score("mc", HONEST.format(letter), letter, OPTIONS, min_block_chars=10)["score"]
    )


@pytest.mark.parametrize("gate", [True, False])
def test_an_unknown_task_pays_nobody(gate: bool) -> None:
    with pytest.raises(BrokenSampleError, match="s1"):
        compute_score("mc2", "A", "A", OPTIONS, tasks={"mc"}, gate_accuracy_on_format=gate)
