"""CameraBench's questions about a camera path, with observation-think traces for SFT.

Binary questions are those of CameraBench's fifteen binary tasks, verbatim; the options of a
multiple-choice question are its labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_builders.sample import LETTERS
from data_builders.specs import MotionName, TaskName
from data_builders.synthetic.camera import KINDS, kind_of

Made = tuple[MotionName, ...]
"""The motions of one shot: one, or two of different kinds in the order of `KINDS`."""


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

_REST = "The rest of the view holds still."
CHOICE = "What is the camera movement?"


def name(motion: MotionName) -> str:
    """CameraBench's label of a motion, as an option's text: "pan left"."""
    return motion.replace("_", " ")


PARTNERS: dict[MotionName, tuple[MotionName, ...]] = {
    "static": ("roll_clockwise", "roll_counterclockwise"),
    "pan_left": ("truck_left",),
    "pan_right": ("truck_right",),
    "tilt_up": ("pedestal_up",),
    "tilt_down": ("pedestal_down",),
    "roll_clockwise": ("static",),
    "roll_counterclockwise": ("static",),
    "zoom_in": ("dolly_in",),
    "zoom_out": ("dolly_out",),
    "dolly_in": ("zoom_in",),
    "dolly_out": ("zoom_out",),
    "truck_left": ("pan_left",),
    "truck_right": ("pan_right",),
    "pedestal_up": ("tilt_up",),
    "pedestal_down": ("tilt_down",),
}
"""What each motion is most easily taken for; a roll, for a still camera on a turning thing."""


def label(made: Made) -> str:
    """The motions of one shot as an option's text: "pan left and zoom in"."""
    return " and ".join(name(motion) for motion in made)


def ask(
    task: TaskName,
    made: Made,
    motions: tuple[MotionName, ...],
    choices: int,
    rng: np.random.Generator,
    hard: bool = False,
) -> Question:
    """A question whose truth is `made`, with wrong options drawn from the other `motions`.

    A `hard` one has the most alike motion among them. All options of a question name as many
    motions, so that their number gives nothing away.
    """
    others = [other for other in motions if other not in made]
    alike = [p for motion in made for p in PARTNERS[motion] if hard and p in others]
    alike = alike if len(made) == 1 else [p for p in alike if p != "static"]
    if task == "multiple_choice":
        wrong = _labels(made, others, rng)
        first = {label(_exchanged(made, p)) for p in alike[:1]} & set(wrong)
        wrong = [*first, *(text for text in wrong if text not in first)]
        return _shuffled(CHOICE, label(made), wrong[: choices - 1], rng)
    if rng.random() < 0.5:
        right = made[rng.integers(len(made))] if len(made) > 1 else made[0]
        return _shuffled(WORDINGS[right].question, "Yes", ["No"], rng)
    asked = (alike or others)[rng.integers(len(alike or others))]
    return _shuffled(WORDINGS[asked].question, "No", ["Yes"], rng)


def _labels(made: Made, others: list[MotionName], rng: np.random.Generator) -> list[str]:
    """Labels of what the shot is not, in random order: for two motions, one of them exchanged."""
    if len(made) == 1:
        return [name(others[i]) for i in rng.permutation(len(others))]
    otherwise = [
        label(_ordered((kept, other)))
        for kept in made
        for other in others
        if other != "static" and kind_of(other) != kind_of(kept)
    ]
    return [otherwise[i] for i in rng.permutation(len(otherwise))]


def _exchanged(made: Made, partner: MotionName) -> Made:
    """`made` with `partner` in place of the motion it is taken for."""
    return _ordered(tuple(partner if partner in PARTNERS[m] else m for m in made))


def _ordered(made: Made) -> Made:
    return tuple(sorted(made, key=lambda motion: KINDS.index(kind_of(motion))))


def trace(
    made: Made, question: Question, terse: bool = False, distracted: bool = False
) -> tuple[str, str]:
    """Observation and thinking that lead from `made` to the answer of `question`.

    The thinking names the motion, judges the one asked for, and reads the options until one
    fits. The reading matters: a small model learns to compare and copy within 200 steps, but not
    in 600 to jump from the motion to a letter, as a `terse` trace does. `distracted` clips show
    a thing that moves by itself.
    """
    seen = " ".join(WORDINGS[motion].seen for motion in made)
    if distracted:
        seen = f"One thing moves by itself. {_REST if made == ('static',) else seen}"
    if terse:
        return seen, label(made)
    asked = next((m for m, wording in WORDINGS.items() if wording.question == question.text), None)
    read = LETTERS.index(question.answer) + 1
    options = [f"{a}. {text}" for a, text in zip(LETTERS, question.options, strict=False)][:read]
    verdict = [] if asked is None else [f"{name(asked)}: {'Yes' if asked in made else 'No'}"]
    return seen, "\n".join([label(made), *verdict, *options])


def _shuffled(text: str, right: str, wrong: list[str], rng: np.random.Generator) -> Question:
    texts = [right, *wrong]
    order = rng.permutation(len(texts))
    options = tuple(texts[i] for i in order)
    return Question(text, options, LETTERS[options.index(right)])
