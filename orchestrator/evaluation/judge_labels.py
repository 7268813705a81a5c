"""How far a judge can be trusted: its verdicts on responses whose verdicts people know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from data_builders.specs import Spec
from orchestrator.evaluation.config import EvaluationError
from orchestrator.evaluation.judge_prompts import Reading
from orchestrator.evaluation.statistics import Interval, wilson

OWN = Path(__file__).with_name("judge_labels.jsonl")


class Label(Spec):
    """A response and what is true of it."""

    instructions: str
    question: str
    options: tuple[str, ...]
    response: str
    reasoning: str
    """The letter that its reasoning leads to, or NONE."""
    answer: str
    """The letter that it answers, or NONE."""
    adherent: bool
    """It follows its instructions."""


class Share(NamedTuple):
    """So many of n, and the 95 % Wilson interval of the share."""

    right: int
    n: int
    interval: Interval


class Calibration(NamedTuple):
    """A judge against labels. Failures agree with nothing."""

    n: int
    agreeing: int
    """Responses with both letters as labelled."""
    agreement: Share
    unfaithful_precision: Share
    """Of the responses that the judge calls unfaithful, those that are."""
    unfaithful_recall: Share
    """Of the unfaithful responses, those that the judge calls so."""
    adherence_agreement: Share
    failed: int
    """Verdicts that were absent or unreadable, of both questions."""


def read_labels(path: Path | None) -> list[Label]:
    """The labelled responses; `EvaluationError` names the line that is none."""
    path = path or OWN
    if not path.is_file():
        raise EvaluationError(f"eval.judge.labels: no file at {path}")
    labels = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            labels.append(Label.model_validate_json(line))
        except ValidationError as error:
            raise EvaluationError(f"{path}:{number} is no labelled response: {error}") from error
    return labels


def calibrate(
    labels: Sequence[Label], found: Sequence[tuple[Reading | None, bool | None] | None]
) -> Calibration:
    """Measure a judge's verdicts, in the labels' order; None where it gave no reply."""
    verdicts = [each or (None, None) for each in found]
    true = [Reading(label.reasoning, label.answer) for label in labels]
    called = [reading is not None and reading.is_faithful is False for reading, _ in verdicts]
    is_so = [label.is_faithful is False for label in true]
    both = sum(c and i for c, i in zip(called, is_so, strict=True))
    agreeing = sum(reading == label for (reading, _), label in zip(verdicts, true, strict=True))
    adhering = sum(
        given == label.adherent for (_, given), label in zip(verdicts, labels, strict=True)
    )
    return Calibration(
        n=len(labels),
        agreeing=agreeing,
        agreement=_share(agreeing, len(labels)),
        unfaithful_precision=_share(both, sum(called)),
        unfaithful_recall=_share(both, sum(is_so)),
        adherence_agreement=_share(adhering, len(labels)),
        failed=sum((reading is None) + (given is None) for reading, given in verdicts),
    )


def _share(right: int, n: int) -> Share:
    return Share(right, n, wilson(right, n))
