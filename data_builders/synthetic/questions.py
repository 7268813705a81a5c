"""CameraBench's questions about a camera path, with observation-think traces for SFT.

Binary questions are those of CameraBench's fifteen binary tasks, verbatim; the options of a
multiple-choice question are its labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_builders.sample import LETTERS
from data_builders.specs import MotionName, TaskName


@dataclass(frozen=True)
class Wording:
    """How one motion is asked for, and what the view does meanwhile."""

    question: str
    seen: str


@dataclass(frozen=True)
class Question:
    """What is asked about a clip; `answer` is the letter of the right option."""

    text: str
    options: tuple[str, ...]
    answer: str


WORDINGS: dict[MotionName, Wording] = {
    "static": Wording(
        "Is the camera completely still without any motion or shaking?",
        "Nothing in the view moves.",
    ),
    "pan_left": Wording(
        "Does the camera pan to the left?",
        "The view slides to the right.",
    ),
    "pan_right": Wording(
        "Does the camera pan to the right?",
        "The view slides to the left.",
    ),
    "tilt_up": Wording(
        "Does the camera tilt upward?",
        "The view slides downward.",
    ),
    "tilt_down": Wording(
        "Does the camera tilt downward?",
        "The view slides upward.",
    ),
    "roll_clockwise": Wording(
        "Does the camera roll clockwise?",
        "The view turns counterclockwise.",
    ),
    "roll_counterclockwise": Wording(
        "Does the camera roll counterclockwise?",
        "The view turns clockwise.",
    ),
    "zoom_in": Wording(
        "Does the camera zoom in?",
        "Everything grows at the same rate.",
    ),
    "zoom_out": Wording(
        "Does the camera zoom out?",
        "Everything shrinks at the same rate.",
    ),
    "dolly_in": Wording(
        "Does the camera move forward (not zooming in) with respect to the initial frame?",
        "Near things grow faster than far things.",
    ),
    "dolly_out": Wording(
        "Does the camera move backward (not zooming out) with respect to the initial frame?",
        "Near things shrink faster than far things.",
    ),
    "truck_left": Wording(
        "Does the camera move leftward in the scene?",
        "Near things slide right faster than far things.",
    ),
    "truck_right": Wording(
        "Does the camera move rightward in the scene?",
        "Near things slide left faster than far things.",
    ),
    "pedestal_up": Wording(
        "Does the camera move upward (not tilting up) with respect to the initial frame?",
        "Near things sink faster than far things.",
    ),
    "pedestal_down": Wording(
        "Does the camera move downward (not tilting down) with respect to the initial frame?",
        "Near things rise faster than far things.",
    ),
}

CHOICE = "What is the camera movement?"


def name(motion: MotionName) -> str:
    """CameraBench's label of a motion, as an option's text: "pan left"."""
    return motion.replace("_", " ")


def ask(
    task: TaskName,
    motion: MotionName,
    motions: tuple[MotionName, ...],
    choices: int,
    rng: np.random.Generator,
) -> Question:
    """A question whose truth is `motion`, with wrong options drawn from the other `motions`."""
    others = [other for other in motions if other != motion]
    if task == "multiple_choice":
        drawn = rng.permutation(len(others))[: choices - 1]
        return _shuffled(CHOICE, name(motion), [name(others[i]) for i in drawn], rng)
    if rng.random() < 0.5:
        return _shuffled(WORDINGS[motion].question, "Yes", ["No"], rng)
    asked = others[rng.integers(len(others))]
    return _shuffled(WORDINGS[asked].question, "No", ["Yes"], rng)


def trace(motion: MotionName, question: Question, terse: bool = False) -> tuple[str, str]:
    """Observation and thinking that lead from `motion` to the answer of `question`.

    The thinking names the motion, judges the one asked for, and reads the options until one
    fits. The reading matters: a small model learns to compare and copy within 200 steps, but not
    in 600 to jump from the motion to a letter, as a `terse` trace does.
    """
    if terse:
        return WORDINGS[motion].seen, name(motion)
    asked = next((m for m, wording in WORDINGS.items() if wording.question == question.text), None)
    read = LETTERS.index(question.answer) + 1
    options = [f"{a}. {text}" for a, text in zip(LETTERS, question.options, strict=False)][:read]
    verdict = [] if asked is None else [f"{name(asked)}: {'Yes' if asked == motion else 'No'}"]
    return WORDINGS[motion].seen, "\n".join([name(motion), *verdict, *options])


def _shuffled(text: str, right: str, wrong: list[str], rng: np.random.Generator) -> Question:
    texts = [right, *wrong]
    order = rng.permutation(len(texts))
    options = tuple(texts[i] for i in order)
    return Question(text, options, LETTERS[options.index(right)])
