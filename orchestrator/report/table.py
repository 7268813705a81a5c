"""The headline: each checkpoint's accuracy, what chance would do, and whether it looked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.table import Table


class Line(NamedTuple):
    """One checkpoint, or one baseline, in one group of questions."""

    name: str
    n: int
    accuracy: float
    interval: tuple[float, float] | None
    swapped: float | None
    format: float | None
    answered: float | None
    errors: int
    versus: str | None
    """The checkpoint before it."""
    gain: float | None
    """Accuracy less that of `versus`, on what both answered."""
    gain_interval: tuple[float, float] | None
    p: float | None
    """Exact McNemar test against `versus`, Holm-corrected within its kind of group."""


BASELINES = {
    "majority": "majority answer",
    "text_only": "text alone",
    "chance": "guessing",
}


def lines(scores: dict[str, Any], group: str = "all") -> Iterator[Line]:
    """The checkpoints in order, each against the one before."""
    before: str | None = None
    for name, checkpoint in scores["checkpoints"].items():
        shown = checkpoint["shown"].get(group)
        if not shown or not shown["n"]:
            continue
        test = _test(scores, before, name, group)
        yield Line(
            name=name,
            n=shown["n"],
            accuracy=shown["accuracy"],
            interval=_interval(shown),
            swapped=checkpoint.get("swapped", {}).get(group, {}).get("accuracy"),
            format=shown["format"],
            answered=shown["answered"],
            errors=shown.get("errors", 0),
            versus=before if test else None,
            gain=test.get("difference"),
            gain_interval=tuple(test["interval"]) if test else None,
            p=test.get("p_holm"),
        )
        before = name


def _interval(shown: dict[str, Any]) -> tuple[float, float]:
    """From the bootstrap over clips; Wilson's where all or none are right, and it has no width."""
    low, high = shown["bootstrap"] if 0 < shown["correct"] < shown["n"] else shown["wilson"]
    return low, high


def baselines(scores: dict[str, Any], group: str = "all") -> dict[str, float]:
    """What each baseline scores, by its description."""
    return {words: scores["baselines"][group][name] for name, words in BASELINES.items()}


def summary_table(scores: dict[str, Any]) -> Table:
    """The headline for a terminal of 80 columns: all questions, then one block a task."""
    title = f"Accuracy, %, on {scores['n']:,} held-out questions about {scores['clips']:,} clips"
    table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("n", "accuracy", "95 %", "swapped", "format", "gain", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    tasks = [name for name in scores["baselines"] if name.startswith("task/")]
    for group in ["all", *tasks] if len(tasks) > 1 else ["all"]:
        _add_block(table, scores, group)
    return table


def _add_block(table: Table, scores: dict[str, Any], group: str) -> None:
    title = group.partition("/")[2].replace("_", " ") or "all questions"
    table.add_row(f"[bold]{title}")
    for line in lines(scores, group):
        table.add_row(*_cells(line))
    for words, accuracy in baselines(scores, group).items():
        table.add_row(f"  [dim]{words}", "", f"[dim]{percent(accuracy)}")


def _cells(line: Line) -> list[str]:
    errors = f" [yellow]({line.errors} errors)" if line.errors else ""
    return [
        f"  [bold cyan]{line.name}[/]{errors}",
        f"{line.n:,}",
        f"[bold]{percent(line.accuracy)}",
        span(line.interval),
        percent(line.swapped),
        percent(line.format),
        points(line.gain) if line.versus else "",
        p_value(line.p),
    ]


def percent(share: float | None) -> str:
    """`0.785` as `78.5`; nothing as a dash."""
    return "-" if share is None else f"{100 * share:.1f}"


def points(gain: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "-" if gain is None else f"{100 * gain:+.1f}"


def span(interval: tuple[float, float] | None, signed: bool = False) -> str:
    """An interval of shares in percent."""
    if interval is None:
        return "-"
    low, high = (points(end) if signed else percent(end) for end in interval)
    return f"[{low}, {high}]" if signed else f"{low} to {high}"


def p_value(p: float | None) -> str:
    """A p-value as papers print it."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _test(scores: dict[str, Any], first: str | None, second: str, group: str) -> dict[str, Any]:
    for test in scores["pairs"]:
        if (test["first"], test["second"], test["group"]) == (first, second, group):
            found: dict[str, Any] = test
            return found
    return {}
