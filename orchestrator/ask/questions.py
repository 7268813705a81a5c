"""What is asked about a clip, and what a response says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_builders.prompt import question_text
from data_builders.sample import LETTERS
from data_builders.specs import MotionName, PromptSpec
from data_builders.synthetic.questions import WORDINGS
from orchestrator.ask.errors import AskError
from reward_plugins.answers import answer_letter
from reward_plugins.ota import answer_block, parse

YES_NO = ("Yes", "No")
_YES_NO_QUESTION = re.compile(
    r"(?:are|can|could|did|do|does|has|have|is|was|were|will|would)\b", re.IGNORECASE
)


class Question(NamedTuple):
    """A question and the texts of its options."""

    text: str
    options: tuple[str, ...]
    motion: MotionName | None = None
    """The primitive it asks for, on a motion card."""

    def turn(self, prompt: PromptSpec) -> str:
        """The user's turn, as in training."""
        return question_text(self.text, self.options, prompt)


@dataclass(frozen=True)
class Answer:
    """A response, read by the rules that training and evaluation read it by."""

    question: str
    options: tuple[str, ...]
    motion: str | None
    response: str | None
    """None where the engine failed."""
    tokens: int
    observation: str | None
    think: str | None
    letter: str | None
    """Of the option that it names; None where it names none, or several."""
    answer: str | None
    """That option's text, or else what the answer block says."""
    well_formed: bool
    """Whether it has the recipe's blocks, in order, and nothing else."""
    problem: str | None = None
    """Why there is no response."""


def about(text: str, options: Sequence[str]) -> Question:
    """A user's question; without options, it must be one of yes or no. Raises `AskError`."""
    text = " ".join(text.split())
    if not text:
        raise AskError("the question is empty; leave it out for a motion card")
    if not options and not _YES_NO_QUESTION.match(text):
        raise AskError(
            f"{text!r} is no yes-or-no question: give what to choose from, "
            "e.g. options='pan left,pan right,static'"
        )
    chosen = tuple(" ".join(option.split()) for option in options) or YES_NO
    if len(chosen) < 2 or len(set(chosen)) < len(chosen) or not all(chosen):
        raise AskError(f"options={list(chosen)}: give two or more different texts")
    if len(chosen) > len(LETTERS):
        raise AskError(f"options: {len(chosen)} are more than the {len(LETTERS)} letters")
    return Question(text, chosen)


def card(motions: Sequence[MotionName]) -> list[Question]:
    """One question a motion primitive."""
    return [Question(WORDINGS[motion].question, YES_NO, motion) for motion in motions]


def read(question: Question, outcome: dict[str, Any], tags: Sequence[str]) -> Answer:
    """What a policy's outcome says."""
    response = outcome.get("text")
    trace = parse(response, tags)
    block = trace.answer if trace else answer_block(response)
    letter = answer_letter(block, question.options)
    return Answer(
        question=question.text,
        options=question.options,
        motion=question.motion,
        response=response,
        tokens=outcome.get("tokens", 0),
        observation=trace.observation if trace else None,
        think=trace.think if trace else None,
        letter=letter,
        answer=question.options[LETTERS.index(letter)] if letter else block,
        well_formed=trace is not None,
        problem=outcome.get("error"),
    )
