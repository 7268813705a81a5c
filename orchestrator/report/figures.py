"""Figures of a run: scores with their intervals, the confusion of motions, training curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from orchestrator.report.sources import Row
from orchestrator.report.table import lines, spoken

INK, FAINT = "#1f2933", "#9aa5b1"
CHECKPOINTS = ["#b8c1cc", "#4c8eda", "#e8833a", "#57a773", "#9b6bcc"]
WIDE = 3
"""Panels in a row."""
FEW_STEPS = 8
"""So few are shown as dots too: a line between two hides that there are only two."""
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e7ebef",
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 150,
    "savefig.bbox": "tight",
}


class Panel(NamedTuple):
    """One small plot of a trainer's metrics."""

    title: str
    unit: str
    keys: tuple[str, ...]
    """The same quantity under the names that different trainers give it; the first found."""
    prefix: bool = False
    """Draw every metric that starts with the key and has no panel of its own."""
    least: float | None = None
    """The quantity can't be less, and the axis starts there: a share at 0."""


Curves = dict[str, list[tuple[float, float]]]
"""Points (step, value) by label."""

PANELS = (
    Panel("Loss", "nats a token", ("loss",), least=0.0),
    Panel("Reward, overall", "mean", ("reward/score", "reward/overall", "critic/score/mean")),
    Panel("Format reward", "mean", ("reward/format", "reward/format/mean", "critic/format/mean")),
    Panel(
        "Accuracy reward",
        "mean",
        ("reward/accuracy", "reward/accuracy/mean", "critic/accuracy/mean"),
    ),
    Panel("Other parts of the reward", "mean", ("reward/",), prefix=True),
    Panel("Reward of trained groups", "mean", ("reward_kept/",), prefix=True),
    Panel("Accuracy on held-out questions", "mean", ("held_out/", "val/accuracy"), prefix=True),
    Panel("Response length", "tokens, mean", ("response_length/mean",)),
    Panel("EMA of the reward's std", "std, by task", ("ema_grpo/std/",), prefix=True),
    Panel("Groups kept by filtering", "share", ("groups/kept_share",), least=0.0),
    Panel("Entropy", "nats a token", ("actor/entropy", "actor/entropy_loss")),
    Panel("KL to the reference", "nats a token", ("actor/kl_loss",)),
    Panel("KL of an update", "nats a token", ("actor/ppo_kl",)),
    Panel(
        "Clip fraction",
        "share of tokens",
        ("actor/pg_clipfrac", "actor/pg_clipfrac_higher"),
        least=0.0,
    ),
    Panel("Gradient norm", "L2 norm before clipping", ("grad_norm", "actor/grad_norm"), least=0.0),
    Panel(
        "Rollout against actor",
        "largest gap in probability",
        ("training/rollout_probs_diff_max",),
        least=0.0,
    ),
)
"""The paper's Figure 4, and what tells whether the run was sound."""


def draw_scores(scores: dict[str, Any], path: Path) -> bool:
    """Accuracy of each checkpoint by task, with 95 % intervals and baselines."""
    tasks = [name for name in scores["baselines"] if name.startswith("task/")]
    groups = ["all", *tasks] if len(tasks) > 1 else ["all"]
    names = list(scores["checkpoints"])
    width = 0.8 / len(names)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(1.6 + 2.0 * len(groups), 3.0))
        for number, name in enumerate(names):
            _bars(axes, scores, name, groups, number, width)
        for place, group in enumerate(groups):
            for baseline, dashes in (("majority", "-"), ("text_only", ":")):
                share = 100 * scores["baselines"][group][baseline]
                label = baseline.replace("_", "-") + " baseline" if place == 0 else None
                axes.hlines(share, place - 0.45, place + 0.45, INK, dashes, lw=1.3, label=label)
        axes.set_xticks(range(len(groups)), [spoken(group) for group in groups])
        axes.set(ylabel="accuracy, %", ylim=(0, 100))
        axes.grid(axis="x", visible=False)
        axes.legend(frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left")
        _save(figure, path)
    return True


def _bars(
    axes: Any, scores: dict[str, Any], name: str, groups: Sequence[str], number: int, width: float
) -> None:
    colour = CHECKPOINTS[number % len(CHECKPOINTS)]
    label: str | None = name
    for place, group in enumerate(groups):
        found = [line for line in lines(scores, group) if line.name == name]
        for line in found:
            x = place - 0.4 + (number + 0.5) * width
            low, high = line.interval or (line.accuracy, line.accuracy)
            # Rounding may put an interval without a width a hair beside the accuracy.
            errors = [[100 * max(0.0, e)] for e in (line.accuracy - low, high - line.accuracy)]
            axes.bar(x, 100 * line.accuracy, 0.92 * width, color=colour, label=label)
            axes.errorbar(x, 100 * line.accuracy, errors, color=INK, lw=1, capsize=2)
            if line.swapped is not None:
                axes.plot(x, 100 * line.swapped, "x", color=INK, ms=5, mew=1.4)
            label = None
    if number == 0 and any("swapped" in c for c in scores["checkpoints"].values()):
        axes.plot([], [], "x", color=INK, ms=5, mew=1.4, label="with another clip")


def draw_confusion(scores: dict[str, Any], path: Path) -> bool:
    """Right answer against given answer, one matrix a checkpoint; False where there is none."""
    tables = {name: c["confusion"] for name, c in scores["checkpoints"].items() if c["confusion"]}
    if not tables:
        return False
    rows = sorted({truth for table in tables.values() for truth in table})
    given = {answer for table in tables.values() for row in table.values() for answer in row}
    columns = [*rows, *sorted(given - set(rows))]
    side = 0.24 * len(columns) + 0.6
    with plt.rc_context({**STYLE, "axes.grid": False, "font.size": 7}):
        figure, axes = plt.subplots(
            1, len(tables), figsize=(side * len(tables) + 1.6, side + 1.4), squeeze=False
        )
        for place, (name, table) in enumerate(tables.items()):
            _matrix(axes[0][place], name, table, rows, columns, labelled=place == 0)
        figure.tight_layout()
        _save(figure, path)
    return True


def _matrix(
    axes: Any, name: str, table: Row, rows: Sequence[str], columns: Sequence[str], labelled: bool
) -> None:
    counts = np.array([[table.get(row, {}).get(column, 0) for column in columns] for row in rows])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks(range(len(rows)), rows if labelled else [""] * len(rows))
    axes.set_title(name)
    axes.tick_params(length=0)
    if labelled:
        axes.set_ylabel("right answer")
    axes.set_xlabel("answer given")


def draw_curves(rows: Sequence[Row], path: Path) -> int:
    """The panels that `rows` have values for; returns how many those are."""
    shown = curves(rows, PANELS)
    if not shown:
        return 0
    wide = min(WIDE, len(shown))
    high = -(-len(shown) // wide)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(high, wide, figsize=(3.1 * wide, 2.2 * high), squeeze=False)
        for place, axis in enumerate(axes.flat):
            if place < len(shown):
                _draw_panel(axis, *shown[place])
            else:
                axis.axis("off")
        figure.tight_layout()
        _save(figure, path)
    return len(shown)


def _draw_panel(axes: Any, panel: Panel, found: Curves) -> None:
    values: tuple[float, ...] = ()
    for colour, (label, points) in zip(CHECKPOINTS[1:] * 9, found.items(), strict=False):
        steps, values = zip(*points, strict=True)
        dot = "o" if len(steps) < FEW_STEPS else None
        axes.plot(steps, values, color=colour, alpha=0.3, lw=1, marker=dot, ms=3)
        axes.plot(
            steps,
            smooth(values),
            color=colour,
            lw=1.6,
            label=label.replace("_", " "),
            clip_on=False,
        )
    axes.set_title(panel.title)
    axes.set(xlabel="step", ylabel=panel.unit)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, place: f"{value:.4g}")
    if panel.least is not None:
        axes.set_ylim(bottom=panel.least, top=None if any(values) else 1.0)
    if panel.prefix:
        axes.legend(frameon=False, fontsize=7.5)


def curves(rows: Sequence[Row], panels: Sequence[Panel]) -> list[tuple[Panel, Curves]]:
    """The panels that `rows` have values for."""
    names = {name for row in rows for name in row}
    rest = names - {key for panel in panels if not panel.prefix for key in panel.keys}
    found = []
    for panel in panels:
        if panel.prefix:
            keys = sorted(name for name in rest if name.startswith(panel.keys))
        else:
            keys = [key for key in panel.keys if key in names][:1]
        points = {key: [(row["step"], row[key]) for row in rows if key in row] for key in keys}
        if points:
            found.append((panel, {key.rpartition("/")[2]: of for key, of in points.items()}))
    return found


def smooth(values: Sequence[float], weight: float = 0.7) -> list[float]:
    """Exponential moving average with bias correction, so that it starts at the first value."""
    mean, norm, out = 0.0, 0.0, []
    for value in values:
        mean, norm = weight * mean + (1 - weight) * value, weight * norm + (1 - weight)
        out.append(mean / norm)
    return out


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
