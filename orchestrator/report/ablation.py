"""The result of a sweep: a table with intervals and paired tests beside the paper's, and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from rich.table import Table

from orchestrator import runs
from orchestrator.evaluation import statistics
from orchestrator.evaluation.groups import group_names
from orchestrator.report.figures import CHECKPOINTS, STYLE
from orchestrator.report.sources import Run
from orchestrator.report.table import p_value, percent, points, span
from orchestrator.sweep import Arm, SweepSpec

CHECKPOINT = "rl"
PAPER_COLUMN = {
    "camerabench_binary": "binary",
    "camerabench_vqa_match": "multiple_choice",
    "camerabench_vqa_as_released": "multiple_choice",
}
"""Where a sweep's `paper` has the numbers of a data set."""
Interval = tuple[float, float]


class Cell(NamedTuple):
    """One arm on one group of questions."""

    label: str
    task: str
    seeds: int
    n: int
    accuracy: float
    """Mean over the seeds."""
    interval: Interval
    """95 %, from a bootstrap over clips."""
    gain: float | None
    """Less the reference's, on the questions that both answered; None for the reference."""
    gain_interval: Interval | None
    p: float | None
    """Exact McNemar test, Holm-corrected within the task; None where a label has several seeds."""
    paper: float | None


class _Verdicts(NamedTuple):
    """A label's questions in order, with the share of seeds that got each right."""

    ids: tuple[str, ...]
    clips: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    right: NDArray[np.float64]
    seeds: int

    def among(self, ids: set[str], group: str) -> _Verdicts:
        """Those of `ids` that are in `group`."""
        keep = [i for i, name in enumerate(self.ids) if name in ids and group in self.groups[i]]
        return _Verdicts(
            tuple(self.ids[i] for i in keep),
            tuple(self.clips[i] for i in keep),
            tuple(self.groups[i] for i in keep),
            self.right[keep],
            self.seeds,
        )


def write_ablation(
    sweep: SweepSpec, arms: Sequence[Arm], reference: str, failed: Mapping[str, str], to: Path
) -> Table:
    """Write `table.json`, `table.md` and `plot.png` into `to`, and return the table."""
    found = {label: _verdicts([a for a in arms if a.label == label]) for label in sweep.labels}
    known = {label: verdicts for label, verdicts in found.items() if verdicts is not None}
    cells = list(_cells(sweep, known, reference))
    lost = [arm for arm in arms if arm.plan.directory.name in failed]
    content = {
        "key": sweep.key,
        "reference": reference,
        "cells": [cell._asdict() for cell in cells],
        "failed": dict(failed),
    }
    runs.write_atomically(to / "table.json", json.dumps(content, indent=1) + "\n")
    rows = [_row(cell) for cell in cells] + [_lost_row(arm) for arm in lost]
    runs.write_atomically(to / "table.md", _markdown(rows))
    if cells:
        _draw(sweep, cells, to / "plot.png")
    return _table(sweep, reference, rows)


def _verdicts(arms: Sequence[Arm]) -> _Verdicts | None:
    """The label's verdicts over its finished seeds; None where none is finished."""
    done = [arm for arm in arms if runs.is_done(arm.plan.stage("eval"))]
    each = [_answers(arm) for arm in done]
    if not each:
        return None
    ids = sorted(set.intersection(*(set(rows) for rows in each)))
    right = np.array([[rows[name][0] for name in ids] for rows in each], dtype=np.float64)
    return _Verdicts(
        ids=tuple(ids),
        clips=tuple(each[0][name][1] for name in ids),
        groups=tuple(each[0][name][2] for name in ids),
        right=right.mean(axis=0),
        seeds=len(each),
    )


def _answers(arm: Arm) -> dict[str, tuple[bool, str, tuple[str, ...]]]:
    """By question: whether RL's answer is right, the clip, and the groups it counts in."""
    run = Run(arm.plan.recipe.model_dump(), {"eval": arm.plan.stage("eval").directory})
    scored = next(iter(run.answers.values()))[CHECKPOINT]  # on the recipe's first benchmark
    pairs = zip(scored.samples, scored.correct.tolist(), strict=True)
    return {sample.id: (right, sample.clip, group_names(sample)) for sample, right in pairs}


def _cells(sweep: SweepSpec, known: Mapping[str, _Verdicts], reference: str) -> Iterator[Cell]:
    groups = {group for verdicts in known.values() for names in verdicts.groups for group in names}
    data_sets = sorted(group for group in groups if group.startswith("dataset/"))
    tasks = sorted(group for group in groups if group.startswith("task/"))
    parts = data_sets if len(data_sets) > 1 else tasks  # the paper's columns are CameraBench's
    for group in ["all", *parts] if len(parts) != 1 else parts:
        task = group.partition("/")[2] or group
        paper = sweep.expected(PAPER_COLUMN.get(task, task))
        cells = [_cell(task, group, label, known, reference) for label in known]
        tests = [cell.p for cell in cells if cell.p is not None]
        corrected = iter(statistics.holm(tests))
        for cell in cells:
            p = None if cell.p is None else next(corrected)
            yield cell._replace(p=p, paper=paper.get(cell.label))


def _cell(
    task: str, group: str, label: str, known: Mapping[str, _Verdicts], reference: str
) -> Cell:
    own = known[label].among(set(known[label].ids), group)
    gain: dict[str, Any] = {"gain": None, "gain_interval": None, "p": None}
    if label != reference and reference in known:
        both = set(own.ids) & set(known[reference].ids)
        gain = _gain(known[reference].among(both, group), own.among(both, group))
    interval = statistics.clustered_interval(own.right, own.clips, seed=0)
    accuracy = float(own.right.mean())
    seeds, n = known[label].seeds, len(own.ids)
    return Cell(label, task, seeds, n, accuracy, interval, paper=None, **gain)


def _gain(before: _Verdicts, after: _Verdicts) -> dict[str, Any]:
    difference = after.right - before.right
    single = before.seeds == after.seeds == 1
    test = statistics.paired(before.right > 0, after.right > 0, after.clips, 0) if single else None
    return {
        "gain": float(difference.mean()),
        "gain_interval": statistics.clustered_interval(difference, after.clips, seed=0),
        "p": test.p if test else None,
    }


COLUMNS = ("value", "task", "n", "seeds", "accuracy", "95 %", "gain", "95 % of it", "p", "paper")


def _row(cell: Cell) -> list[str]:
    return [
        cell.label,
        cell.task.replace("_", " "),
        f"{cell.n:,}",
        str(cell.seeds),
        percent(cell.accuracy),
        span(cell.interval),
        "" if cell.gain is None else points(cell.gain),
        "" if cell.gain is None else span(cell.gain_interval, signed=True),
        p_value(cell.p),
        "" if cell.paper is None else percent(cell.paper),
    ]


def _lost_row(arm: Arm) -> list[str]:
    return [arm.label, f"failed (seed {arm.seed})", *[""] * (len(COLUMNS) - 2)]


def _table(sweep: SweepSpec, reference: str, rows: Sequence[Sequence[str]]) -> Table:
    title = f"{sweep.key}: accuracy after RL, %; gain over {reference}"
    table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("value", "task") else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _draw(sweep: SweepSpec, cells: Sequence[Cell], path: Path) -> None:
    """Accuracy with its interval by value, a line a task, and the paper's dashed."""
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.5, 3.4))
        for number, task in enumerate(tasks):
            aside = 0.06 * (number - (len(tasks) - 1) / 2)  # or the intervals would hide each other
            color = CHECKPOINTS[1:][number % (len(CHECKPOINTS) - 1)]
            own = [cell for cell in cells if cell.task == task]
            _draw_task(sweep, own, color, aside, axes)
        axes.set_xticks(range(len(sweep.labels)), sweep.labels)
        axes.set_xlabel(sweep.key)
        axes.set_ylabel("Accuracy, %")
        axes.grid(axis="x", visible=False)
        axes.legend(
            frameon=False, fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )
        figure.savefig(path)
        plt.close(figure)


def _draw_task(sweep: SweepSpec, own: Sequence[Cell], color: str, aside: float, axes: Any) -> None:
    name = own[0].task.replace("_", " ")
    at = np.array([sweep.labels.index(cell.label) for cell in own])
    mean = 100 * np.array([cell.accuracy for cell in own])
    bars = np.abs(100 * np.array([cell.interval for cell in own]).T - mean)
    axes.errorbar(at + aside, mean, bars, color=color, marker="o", ms=4, capsize=2, label=name)
    told = [(a, 100 * c.paper) for a, c in zip(at, own, strict=True) if c.paper is not None]
    if told:
        axes.plot(*zip(*told, strict=True), "--", color=color, label=f"{name}, paper")
