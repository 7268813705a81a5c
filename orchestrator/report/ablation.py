"""The result of a sweep: each value's accuracy, with intervals and paired tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType

from orchestrator.ablate.sweep import Arm, SweepSpec
from orchestrator.evaluation import statistics
from orchestrator.evaluation.groups import group_names
from orchestrator.report.ablation_view import Cell, View, draw, markdown, tables
from orchestrator.report.sources import Run
from orchestrator.run import store
from reward_plugins.files import write_file

PAPER_COLUMN = {
    "camerabench_binary": "binary",
    "camerabench_vqa_match": "multiple_choice",
    "camerabench_vqa_as_released": "multiple_choice",
    "camerabench_vqa_yes_no": "binary",
}
"""Where a sweep's `paper` has the numbers of a data set."""


class _Verdicts(NamedTuple):
    """A label's questions in order, with their mean score over the seeds."""

    ids: tuple[str, ...]
    clips: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    scores: NDArray[np.float64]
    seeds: int

    def among(self, ids: set[str], group: str) -> _Verdicts:
        """Those of `ids` that are in `group`."""
        keep = [i for i, name in enumerate(self.ids) if name in ids and group in self.groups[i]]
        return _Verdicts(
            tuple(self.ids[i] for i in keep),
            tuple(self.clips[i] for i in keep),
            tuple(self.groups[i] for i in keep),
            self.scores[keep],
            self.seeds,
        )


def write_ablation(
    sweep: SweepSpec, arms: Sequence[Arm], reference: str, failed: Mapping[str, str], to: Path
) -> RenderableType:
    """Write `table.json`, `table.md` and `plot.png` into `to`, and return the tables."""
    found = {label: _verdicts([a for a in arms if a.label == label]) for label in sweep.labels}
    known = {label: verdicts for label, verdicts in found.items() if verdicts is not None}
    cells = list(_cells(sweep, known, reference))
    lost = [(a.label, a.seed) for a in arms if a.plan.directory.name in failed]
    content = {
        "key": sweep.key,
        "reference": reference,
        "cells": [cell._asdict() for cell in cells],
        "failed": dict(failed),
    }
    write_file(to / "table.json", json.dumps(content, indent=1) + "\n")
    view = View(sweep.key, sweep.labels, reference, cells, lost)
    write_file(to / "table.md", markdown(view))
    if cells:
        draw(view, to / "plot.png")
    return tables(view)


def _verdicts(arms: Sequence[Arm]) -> _Verdicts | None:
    """The label's verdicts over its finished seeds; None where none is finished."""
    done = [arm for arm in arms if store.is_done(arm.plan.stage("eval"))]
    each = [_answers(arm) for arm in done]
    if not each:
        return None
    ids = sorted(set.intersection(*(set(rows) for rows in each)))
    scores = np.array([[rows[name][0] for name in ids] for rows in each], dtype=np.float64)
    return _Verdicts(
        ids=tuple(ids),
        clips=tuple(each[0][name][1] for name in ids),
        groups=tuple(each[0][name][2] for name in ids),
        scores=scores.mean(axis=0),
        seeds=len(each),
    )


def _answers(arm: Arm) -> dict[str, tuple[float, str, tuple[str, ...]]]:
    """By question: the score of the last policy's answer, the clip, and the groups it counts in."""
    run = Run(arm.plan.recipe.model_dump(), {"eval": arm.plan.stage("eval").directory})
    last = arm.plan.recipe.checkpoints[-1]
    scored = next(iter(run.answers.values()))[last]  # on the recipe's first benchmark
    pairs = zip(scored.samples, scored.scores.tolist(), strict=True)
    return {sample.id: (score, sample.clip, group_names(sample)) for sample, score in pairs}


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
    interval = statistics.score_interval(own.scores, own.clips, seed=0)
    accuracy = float(own.scores.mean())
    seeds, n = known[label].seeds, len(own.ids)
    return Cell(label, task, seeds, n, accuracy, interval, paper=None, **gain)


def _gain(before: _Verdicts, after: _Verdicts) -> dict[str, Any]:
    test = statistics.paired(before.scores, after.scores, after.clips, seed=0)
    single = before.seeds == after.seeds == 1  # clips tell nothing of the chance in training
    p = test.p if single else None
    return {"gain": test.difference, "gain_interval": test.interval, "p": p}
