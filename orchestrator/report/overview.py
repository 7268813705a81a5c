"""All checkpoints on all benchmarks, in one table; and what lmms-eval measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.report.table import percent, span

Z = 1.96
"""Standard errors to either side of a 95 % interval."""


class Cell(NamedTuple):
    """One checkpoint on one benchmark."""

    value: str
    interval: str
    n: str
    """Questions that count."""


class Overview(NamedTuple):
    """A row a checkpoint, a column a benchmark."""

    columns: list[str]
    rows: list[tuple[str, list[Cell | None]]]


def overview(scores: Mapping[str, Any] | None, titles: Mapping[str, str]) -> Overview | None:
    """The table; None where it would have one column, which the benchmark's own section shows."""
    if scores is None:
        return None
    columns = [_ours(block) for block in scores["benchmarks"].values()]
    names = [titles[name] for name in scores["benchmarks"]]
    for task, metric in _headlines(scores.get("external", {})):
        columns.append(_theirs(scores["external"], task, metric))
        names.append(f"{task}: {metric}")
    if len(columns) < 2:
        return None
    rows = list(dict.fromkeys(name for column in columns for name in column))
    return Overview(names, [(row, [column.get(row) for column in columns]) for row in rows])


def _ours(block: Mapping[str, Any]) -> dict[str, Cell]:
    shown = {name: checkpoint["shown"]["all"] for name, checkpoint in block["checkpoints"].items()}
    return {
        name: Cell(percent(each["accuracy"]), span(each["interval"]), _number(each["n"]))
        for name, each in shown.items()
        if each["n"]
    }


def _headlines(external: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The first metric of each task."""
    found = {
        task: measured[0]["metric"]
        for tasks in external.values()
        for task, measured in tasks.items()
        if measured
    }
    return list(found.items())


def _theirs(external: Mapping[str, Any], task: str, metric: str) -> dict[str, Cell]:
    return {
        name: _cell(row)
        for name, tasks in external.items()
        for row in tasks.get(task, ())
        if row["metric"] == metric
    }


def _cell(row: Mapping[str, Any]) -> Cell:
    value, stderr = row["value"], row["stderr"]
    ends = "" if stderr is None else f"{value - Z * stderr:.3f} to {value + Z * stderr:.3f}"
    return Cell(f"{value:.4g}", ends, "" if row["n"] is None else _number(row["n"]))


def _number(n: int) -> str:
    return f"{n:,}"
