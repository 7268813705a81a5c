"""CameraBench's questions about a camera path, with observation-think traces for SFT.

Wording: binary questions and their "Yes"/"No" are CameraBench's binary tasks verbatim; a
multiple-choice question offers the same motions as statements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_builders.sample import LETTERS
from data_builders.specs import MotionName, TaskName


@dataclass(frozen=True)
class Wording:
    """How one motion is asked for, stated, and seen."""

    question: str
    statement: str
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
        "The camera is completely still.",
        "Nothing in the view moves.",
    ),
    "pan_left": Wording(
        "Does the camera pan to the left?",
        "The camera pans to the left.",
        "The view slides to the right.",
    ),
    "pan_right": Wording(
        "Does the camera pan to the right?",
        "The camera pans to the right.",
        "The view slides to the left.",
    ),
    "tilt_up": Wording(
        "Does the camera tilt upward?",
        "The camera tilts upward.",
        "The view slides downward.",
    ),
    "tilt_down": Wording(
        "Does the camera tilt downward?",
        "The camera tilts downward.",
        "The view slides upward.",
    ),
    "roll_clockwise": Wording(
        "Does the camera roll clockwise?",
        "The camera rolls clockwise.",
        "The view turns counterclockwise.",
    ),
    "roll_counterclockwise": Wording(
        "Does the camera roll counterclockwise?",
        "The camera rolls counterclockwise.",
        "The view turns clockwise.",
    ),
    "zoom_in": Wording(
        "Does the camera zoom in?",
        "The camera zooms in.",
        "Everything grows at the same rate.",
    ),
    "zoom_out": Wording(
        "Does the camera zoom out?",
        "The camera zooms out.",
        "Everything shrinks at the same rate.",
    ),
    "dolly_in": Wording(
        "Does the camera move forward (not zooming in) with respect to the initial frame?",
        "The camera moves forward.",
        "Near things grow faster than far things.",
    ),
    "dolly_out": Wording(
        "Does the camera move backward (not zooming out) with respect to the initial frame?",
        "The camera moves backward.",
        "Near things shrink faster than far things.",
    ),
    "truck_left": Wording(
        "Does the camera move leftward in the scene?",
        "The camera moves leftward.",
        "Near things slide right faster than far things.",
    ),
    "truck_right": Wording(
        "Does the camera move rightward in the scene?",
        "The camera moves rightward.",
        "Near things slide left faster than far things.",
    ),
    "pedestal_up": Wording(
        "Does the camera move upward (not tilting up) with respect to the initial frame?",
        "The camera moves upward.",
        "Near things sink faster than far things.",
    ),
    "pedestal_down": Wording(
        "Does the camera move downward (not tilting down) with respect to the initial frame?",
        "The camera moves downward.",
        "Near things rise faster than far things.",
    ),
}

CHOICE = "Which description matches the camera movement?"


def ask(
    task: TaskName,
    motion: MotionName,
    motions: tuple[MotionName, ...],
    choices: int,
    rng: np.random.Generator,
) -> Question:
    """A question whose truth is `motion`, with wrong options drawn from the other `motions`."""
    others = [other for other in motions if other != motion]
    if task == "binary":
        yes = rng.random() < 0.5
        asked = motion if yes else others[rng.integers(len(others))]
        right, wrong = ("Yes", ["No"]) if yes else ("No", ["Yes"])
        return _shuffled(WORDINGS[asked].question, right, wrong, rng)
    drawn = rng.permutation(len(others))[: choices - 1]
    statements = [WORDINGS[others[i]].statement for i in drawn]
    return _shuffled(CHOICE, WORDINGS[motion].statement, statements, rng)


def _shuffled(text: str, right: str, wrong: list[str], rng: np.random.Generator) -> Question:
    texts = [right, *wrong]
    order = rng.permutation(len(texts))
    options = tuple(texts[i] for i in order)
    return Question(text, options, LETTERS[options.index(right)])


def reasoning(motion: MotionName) -> tuple[str, str]:
    """The observation and the thinking that lead to `motion`."""
    return WORDINGS[motion].seen, WORDINGS[motion].statement
