"""Measures beside accuracy: those that always "No" does not win, and the confusion of motions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from data_builders.sample import Sample

Confusion = dict[str, dict[str, int]]
"""Right answer -> given answer -> count."""
MAX_CONFUSED = 40
"""A confusion table of more answers than this can't be read."""
NO_ANSWER = "(no answer)"


class Ranking(NamedTuple):
    """How well the probability of "Yes" ranks the questions: CameraBench's own measure.

    As in its binary_classification_evaluation.py: average precision and ROC-AUC of scikit-learn.
    """

    n: int
    """Questions with a probability; the others are left out."""
    ap: float | None
    """None where all right answers are the same."""
    auc: float | None
    prevalence: float
    """Share of Yes: the average precision of a guess."""


def balanced_accuracy(samples: Sequence[Sample], scores: NDArray[np.float64]) -> float:
    """Mean over the answers (texts such as Yes and No, or else letters) of the share got right."""
    truth = answer_classes(samples, [sample.truth for sample in samples])
    _, index = np.unique(np.asarray(truth), return_inverse=True)
    return float(np.mean(np.bincount(index, weights=scores) / np.bincount(index)))


def f1(samples: Sequence[Sample], letters: Sequence[str | None]) -> float:
    """F1 of "Yes" where all questions are yes or no; else the mean F1 over the answers."""
    truth = answer_classes(samples, [sample.truth for sample in samples])
    given = [name or NO_ANSWER for name in answer_classes(samples, letters)]
    classes = sorted({name for name in truth if name is not None})
    positive = [name for name in classes if name.casefold() == "yes"] or classes
    return float(f1_score(truth, given, labels=positive, average="macro", zero_division=0.0))


def answer_classes(samples: Sequence[Sample], letters: Sequence[str | None]) -> list[str | None]:
    """What each of `letters` stands for.

    The option's text where all questions offer the same texts, in any order; else the letter.
    """
    if len({frozenset(sample.options) for sample in samples}) > 1:
        return list(letters)
    return [
        None if letter is None else sample.options[sample.letters.index(letter)]
        for sample, letter in zip(samples, letters, strict=True)
    ]


def is_yes_or_no(sample: Sample) -> bool:
    """Whether the options are Yes and No."""
    return {option.casefold() for option in sample.options} == {"yes", "no"}


def ranking(
    samples: Sequence[Sample], probabilities: Sequence[Sequence[float] | None]
) -> Ranking | None:
    """Of the yes-or-no questions among `samples`; None where none has a probability.

    `probabilities` are of each option, in the sample's order; they need not sum to 1.
    """
    rows = [
        (sample.answer_text.casefold() == "yes", chance)
        for sample, given in zip(samples, probabilities, strict=True)
        if given is not None and (chance := _chance_of_yes(sample, given)) is not None
    ]
    if not rows:
        return None
    truth, chances = map(list, zip(*rows, strict=True))
    both = len(set(truth)) == 2
    return Ranking(
        n=len(rows),
        ap=float(average_precision_score(truth, chances)) if both else None,
        auc=float(roc_auc_score(truth, chances)) if both else None,
        prevalence=float(np.mean(truth)),
    )


def _chance_of_yes(sample: Sample, probabilities: Sequence[float]) -> float | None:
    """Of the two options' mass; None where neither has any."""
    if not is_yes_or_no(sample) or not sum(probabilities) > 0:
        return None
    yes = [option.casefold() for option in sample.options].index("yes")
    return probabilities[yes] / sum(probabilities)


def confusion(samples: Sequence[Sample], letters: Sequence[str | None]) -> Confusion | None:
    """What is taken for what; None where nothing is, or the table is too large to read.

    Of questions with several options, the answers' texts. Where all are yes-or-no questions about
    several motions: the motions that a clip shows against those that are said of it.
    """
    if samples and all(map(is_yes_or_no, samples)):
        table = _said_of_clips(samples, letters)
    else:
        table = _answers(samples, letters)
    if not table or len(table) > MAX_CONFUSED:
        return None
    return {truth: dict(given) for truth, given in sorted(table.items())}


def _answers(samples: Sequence[Sample], letters: Sequence[str | None]) -> dict[str, Counter[str]]:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for sample, letter in zip(samples, letters, strict=True):
        if len(sample.options) > 2:
            given = NO_ANSWER if letter is None else sample.options[sample.letters.index(letter)]
            table[sample.answer_text][given] += 1
    return table


def _said_of_clips(
    samples: Sequence[Sample], letters: Sequence[str | None]
) -> dict[str, Counter[str]]:
    shown: dict[str, set[str]] = defaultdict(set)
    said: dict[str, set[str]] = defaultdict(set)
    for sample, letter in zip(samples, letters, strict=True):
        if sample.answer_text.casefold() == "yes":
            shown[sample.clip].add(sample.category)
        if letter and sample.options[sample.letters.index(letter)].casefold() == "yes":
            said[sample.clip].add(sample.category)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for clip, motions in shown.items():
        for motion in motions:
            table[motion].update(said[clip] or {NO_ANSWER: 1})
    return table
