"""What a sweep found, as tables for the terminal and for Markdown, and as a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from rich.console import Group, RenderableType
from rich.table import Table

from orchestrator.report.figures import CHECKPOINTS, INK, STYLE
from orchestrator.report.table import p_value, percent, points, span

Interval = tuple[float, float]


class Cell(NamedTuple):
    """One value on one group of questions."""

    label: str
    task: str
    seeds: int
    n: int
    accuracy: float
    """Mean over the seeds."""
    interval: Interval | None
    """95 %, from a bootstrap over clips."""
    gain: float | None
    """Less the reference's, on the questions that both answered; None for the reference."""
    gain_interval: Interval | None
    p: float | None
    """Sign flips over clips, Holm-corrected within the task; None for several seeds."""
    paper: float | None


@dataclass(frozen=True)
class View:
    """What there is to show."""

    key: str
    labels: Sequence[str]
    reference: str
    cells: Sequence[Cell]
    lost: Sequence[tuple[str, int]]
    """Label and seed of the arms that failed."""

    @property
    def title(self) -> str:
        """What the numbers are."""
        return f"{self.key}: accuracy after RL, %"

    @property
    def notes(self) -> str:
        """What the columns are."""
        said = (
            f"95 %: bootstrap over clips. Gain: over {self.reference}, on the same questions. "
            "p: sign flips over clips, Holm-corrected within the task."
        )
        told = any(cell.paper is not None for cell in self.cells)
        return f"{said} Paper: its 7B model on CameraBench." if told else said

    def tasks(self) -> Iterator[tuple[str, list[Cell]]]:
        """Each task with its cells, in the order of the values."""
        for task in dict.fromkeys(cell.task for cell in self.cells):
            own = [cell for cell in self.cells if cell.task == task]
            yield task.replace("_", " "), sorted(own, key=lambda c: self.labels.index(c.label))


def tables(view: View) -> RenderableType:
    """One table a task, each within eighty columns."""
    shown: list[RenderableType] = [f"[bold]{view.title}[/]"]
    for title, head, rows in _blocks(view):
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for name in head:
            table.add_column(name, justify="left" if name == head[0] else "right")
        for row in rows:
            table.add_row(*row)
        shown += ["", f"[cyan]{title}[/]", table]
    return Group(*shown, "", f"[dim]{view.notes}[/]")


def markdown(view: View) -> str:
    """The same tables, to be pasted."""
    lines = [f"# {view.title}", ""]
    for title, head, rows in _blocks(view):
        lines += [f"## {title}", ""]
        lines += ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
        lines += [""]
    return "\n".join([*lines, view.notes, ""])


def _blocks(view: View) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Title, head and rows of each task; without any, what failed."""
    seeds = any(cell.seeds > 1 for cell in view.cells)
    told = ["accuracy", "95 %", "gain", "95 % of it", "p", "paper"]
    head = [view.key.rpartition(".")[2], *told, *(["seeds"] if seeds else [])]
    for task, cells in list(view.tasks()) or [("all", [])]:
        rows = [_row(cell, seeds) for cell in cells]
        rows += [
            [label, f"failed (seed {seed})", *[""] * (len(head) - 2)] for label, seed in view.lost
        ]
        n = max((cell.n for cell in cells), default=0)
        yield f"{task}, {n:,} questions", head, rows


def _row(cell: Cell, seeds: bool) -> list[str]:
    gained = cell.gain is not None
    return [
        cell.label,
        percent(cell.accuracy),
        span(cell.interval),
        points(cell.gain) if cell.gain is not None else "ref.",
        span(cell.gain_interval, signed=True) if gained else "",
        p_value(cell.p),
        "" if cell.paper is None else percent(cell.paper),
        *([str(cell.seeds)] if seeds else []),
    ]


def draw(view: View, path: Path) -> None:
    """Accuracy with its interval by value, a line a task, and the paper's dashed."""
    tasks = list(view.tasks())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.5, 3.4))
        for number, (task, cells) in enumerate(tasks):
            aside = 0.06 * (number - (len(tasks) - 1) / 2)  # or the intervals would hide each other
            color = CHECKPOINTS[1:][number % (len(CHECKPOINTS) - 1)]
            _draw_task(view, task, cells, color, aside, axes)
        axes.set_xticks(range(len(view.labels)), view.labels)
        axes.set_xlabel(view.key)
        axes.set_ylabel("accuracy after RL, %")
        axes.grid(axis="x", visible=False)
        handles = axes.get_legend_handles_labels()[0]
        if any(cell.paper is not None for cell in view.cells):
            handles.append(Line2D([], [], color=INK, ls="--", label="paper: 7B, CameraBench"))
        axes.legend(
            handles=handles,
            frameon=False,
            fontsize=7,
            ncols=4,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
        )
        figure.savefig(path)
        plt.close(figure)


def _draw_task(
    view: View, task: str, cells: Sequence[Cell], color: str, aside: float, axes: Any
) -> None:
    at = np.array([view.labels.index(cell.label) for cell in cells])
    mean = 100 * np.array([cell.accuracy for cell in cells])
    ends = [cell.interval or (cell.accuracy, cell.accuracy) for cell in cells]
    bars = np.abs(100 * np.array(ends).T - mean)
    axes.errorbar(at + aside, mean, bars, color=color, marker="o", ms=4, capsize=2, label=task)
    told = [(a, 100 * c.paper) for a, c in zip(at, cells, strict=True) if c.paper is not None]
    if told:
        axes.plot(*zip(*told, strict=True), "--", color=color)
