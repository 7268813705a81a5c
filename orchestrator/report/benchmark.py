"""What the page says about one benchmark: warnings, further measures, and its categories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from orchestrator.report.table import Block, constant, lines, percent, span, spoken

CALIBRATION = {
    "agreement": "both letters right in",
    "unfaithful_precision": "unfaithful where it says so in",
    "unfaithful_recall": "finds the unfaithful in",
    "adherence_agreement": "adherence right in",
}
LEARNT = 0.1
"""So much better than guessing, and text alone gives the answers away."""


class Measure(NamedTuple):
    """A column of the second table."""

    title: str
    explanation: str
    read: Callable[[dict[str, Any]], float | None]
    show: Callable[[float], str] = percent


def _at(*path: str) -> Callable[[dict[str, Any]], float | None]:
    def read(shown: dict[str, Any]) -> float | None:
        value: Any = shown
        for key in path:
            value = (value or {}).get(key)
        return value

    return read


MEASURES = (
    Measure("sample-weighted", "every question counts the same", _at("accuracy")),
    Measure("macro", "every category counts the same", _at("macro_accuracy")),
    Measure("whole pairs", "every question about a pair of clips right", _at("pair_accuracy")),
    Measure(
        "published rule", "answers read as the published rows' code does", _at("published_rule")
    ),
    Measure("balanced", "every right answer (Yes, No) counts the same", _at("balanced_accuracy")),
    Measure("F1", "of Yes, or the mean over answers", _at("f1")),
    Measure("AP", "average precision of the probability of Yes", _at("ranking", "ap")),
    Measure("macro AP", "mean over the categories: CameraBench's measure", _at("macro_ap")),
    Measure("AUC", "area under the ROC curve of the probability of Yes", _at("ranking", "auc")),
    Measure("share of Yes", "the AP of a guess", _at("ranking", "prevalence")),
    Measure("ranked", "questions with a probability of Yes", _at("ranking", "n"), "{:,}".format),
    Measure("as rewarded", "accuracy that the reward pays", _at("rewarded")),
    Measure("format", "responses in the answer format", _at("format")),
    Measure("answered", "responses that name one option, anywhere", _at("answered")),
    Measure(
        "faithful", "RefineShot's FRS: answers that reasoning does not belie", _at("faithfulness")
    ),
    Measure("adherent", "RefineShot's IAS: responses in the form asked for", _at("adherence")),
    Measure("checked", "accuracy, with unfaithful answers wrong", _at("judge", "accuracy_checked")),
    Measure("tokens", "of a response", _at("tokens"), "{:,.0f}".format),
    Measure("seconds", "a question, batches shared out", _at("seconds"), "{:.2g}".format),
    Measure(
        "$ / 1,000", "price of a thousand questions", _at("dollars"), lambda d: f"{1e3 * d:.2f}"
    ),
)


class Warning(NamedTuple):
    """What the score hides."""

    strong: bool
    """It undoes the score."""
    text: str


def warnings(block: Block) -> Iterator[Warning]:
    """What a reader must see without looking for it."""
    for group in block["baselines"]:
        if group == "all" or group.startswith("dataset/"):
            yield from _of_baselines(block, group)
    if block["quarantined"]:
        yield Warning(False, f"{len(block['quarantined'])} clips can't be read and are left out.")
    for name, checkpoint in block["checkpoints"].items():
        if errors := checkpoint["shown"]["all"]["errors"]:
            text = f"{name}: {errors:,} questions failed in the engine and are left out."
            yield Warning(False, text)
        if checkpoint["shown"]["all"].get("answered") == 0:
            yield Warning(False, f"{name}: no response names an option.")


def _of_baselines(block: Block, group: str) -> Iterator[Warning]:
    own = block["baselines"][group]
    if group != "all" and own["n"] == block["n"]:
        return  # the same questions
    where = f" on {spoken(group)}" if group != "all" else ""
    best = max((line.accuracy for line in lines(block, group)), default=0.0)
    if own["majority"] >= best:
        said = f"{constant(own['majority_answer'])} scores {percent(own['majority'])} %{where}"
        yield Warning(True, f"{said}: no checkpoint is better.")
    if own["text_only"] >= own["chance"] + LEARNT and own["text_only"] > own["majority"]:
        said = "A rule that reads the question alone, and never the clip, scores"
        yield Warning(True, f"{said} {percent(own['text_only'])} %{where}.")
    if own["distinct"] < own["n"]:
        said = f"The {own['n']:,} questions{where} are {own['distinct']:,} different ones"
        yield Warning(False, f"{said}: the rest show the same options with the same clip again.")


def measures(block: Block) -> tuple[list[Measure], list[tuple[str, list[str]]]]:
    """The measures that some checkpoint has, and a row of them for each checkpoint."""
    shown = {
        name: checkpoint["shown"]["all"]
        for name, checkpoint in block["checkpoints"].items()
        if checkpoint["shown"]["all"]["n"]
    }
    found = [m for m in MEASURES if any(m.read(scores) is not None for scores in shown.values())]
    rows = [(name, [_show(m, scores) for m in found]) for name, scores in shown.items()]
    return found, rows


def _show(measure: Measure, scores: dict[str, Any]) -> str:
    value = measure.read(scores)
    return "-" if value is None else measure.show(value)


def judging(block: Block, calibration: dict[str, Any] | None) -> list[str]:
    """What the judge could not tell, and how far it can be trusted; nothing without a judge."""
    found = []
    for name, checkpoint in block["checkpoints"].items():
        if counts := checkpoint["shown"]["all"].get("judge"):
            found.append(
                f"{name}: of {counts['asked']:,} responses, {counts['faithful']:,} are faithful, "
                f"{counts['unfaithful']:,} are not, {counts['none']:,} name no option in reasoning "
                f"or answer (RefineShot counts them as faithful), and {counts['failed']:,} got no "
                f"verdict and are left out; {counts['adherence_failed']:,} got none on adherence."
            )
    if found and calibration:
        said = ", ".join(
            f"{words} {_share(calibration[key])}" for key, words in CALIBRATION.items()
        )
        found.append(f"The judge on {calibration['n']} labelled responses: {said}.")
    return found


def _share(share: tuple[int, int, tuple[float, float]]) -> str:
    right, n, ends = share
    return f"{right} of {n} ({span(ends)} %)"


class CategoryRow(NamedTuple):
    """One group of questions: its baselines, and each checkpoint on it."""

    name: str
    n: int
    majority: float
    text_only: float
    cells: list[tuple[float, tuple[float, float] | None] | None]
    """Accuracy and interval, by checkpoint."""
    gain: float | None
    """Of the last checkpoint over the one before."""
    p: float | None


def parts(block: Block) -> list[tuple[str, list[CategoryRow]]]:
    """The groups of each kind that has several."""
    kinds = {"task": "Tasks", "dataset": "Data sets", "category": "Categories"}
    found = {
        title: [group for group in block["baselines"] if group.startswith(f"{kind}/")]
        for kind, title in kinds.items()
    }
    return [
        (title, [_row(block, group) for group in groups])
        for title, groups in found.items()
        if len(groups) > 1
    ]


def _row(block: Block, group: str) -> CategoryRow:
    own = block["baselines"][group]
    shown = [checkpoint["shown"].get(group) for checkpoint in block["checkpoints"].values()]
    last = list(lines(block, group))[-1:]
    return CategoryRow(
        name=spoken(group),
        n=own["n"],
        majority=own["majority"],
        text_only=own["text_only"],
        cells=[(s["accuracy"], s["interval"]) if s else None for s in shown],
        gain=last[0].gain if last else None,
        p=last[0].p if last else None,
    )
