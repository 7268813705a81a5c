"""The headline: each checkpoint's accuracy, what chance would do, and whether it looked.

A block is what `scores.json` holds of one benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.console import Group
from rich.table import Table

Block = dict[str, Any]


class Line(NamedTuple):
    """One checkpoint in one group of questions."""

    name: str
    n: int
    accuracy: float
    """Mean score of the answers, wherever they stand."""
    rewarded: float
    """Mean accuracy that the reward pays."""
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
    """Sign flips over clips, against `versus`, Holm-corrected within its kind of group."""


BASELINES = {
    "majority": "majority answer",
    "text_only": "text alone",
    "chance": "guessing",
}
LONGEST = 12
"""Characters of an answer that still fits a terminal's first column."""


def lines(block: Block, group: str = "all") -> Iterator[Line]:
    """The checkpoints in order, each against the one before."""
    before: str | None = None
    for name, checkpoint in block["checkpoints"].items():
        shown = checkpoint["shown"].get(group)
        if not shown or not shown["n"]:
            continue
        test = _test(block, before, name, group)
        yield Line(
            name=name,
            n=shown["n"],
            accuracy=shown["accuracy"],
            rewarded=shown["rewarded"],
            interval=shown["interval"],
            swapped=checkpoint.get("swapped", {}).get(group, {}).get("accuracy"),
            format=shown["format"],
            answered=shown["answered"],
            errors=shown.get("errors", 0),
            versus=before if test else None,
            gain=test.get("difference"),
            gain_interval=test.get("interval"),
            p=test.get("p_holm"),
        )
        before = name


def baselines(block: Block, group: str = "all") -> dict[str, float]:
    """What each baseline scores, by its description."""
    own = block["baselines"][group]
    words = {**BASELINES, "majority": always(own["majority_answer"])}
    return {words[name]: own[name] for name in BASELINES}


def always(answer: str) -> str:
    """The best constant answer in words: itself, where it is short."""
    return f'always "{answer}"' if len(answer) <= LONGEST else BASELINES["majority"]


def constant(answer: str) -> str:
    """`always` at the start of a sentence."""
    if len(answer) > LONGEST:
        return "Always giving the most frequent answer"
    return f'Always answering "{answer}"'


def summary_table(scores: dict[str, Any]) -> Group:
    """The headline for a terminal of 80 columns: a table for each benchmark."""
    return Group(*(_table(name, block) for name, block in scores["benchmarks"].items()))


def _table(name: str, block: Block) -> Table:
    """All questions, then one part a task."""
    title = f"Accuracy, %, on {name}: {block['n']:,} questions about {block['clips']:,} clips"
    caption = "answer: wherever it stands; paid: as the reward counts it"
    table = Table(title=title, caption=caption, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("n", "answer", "95 %", "swapped", "paid", "format", "gain", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    tasks = [group for group in block["baselines"] if group.startswith("task/")]
    for group in ["all", *tasks] if len(tasks) > 1 else ["all"]:
        _add_part(table, block, group)
    return table


def _add_part(table: Table, block: Block, group: str) -> None:
    table.add_row(f"[bold]{spoken(group)}")
    for line in lines(block, group):
        table.add_row(*_cells(line))
    for words, accuracy in baselines(block, group).items():
        table.add_row(f"  [dim]{words}", "", f"[dim]{percent(accuracy)}")


def _cells(line: Line) -> list[str]:
    errors = f" [yellow]({line.errors} errors)" if line.errors else ""
    return [
        f"  [bold cyan]{line.name}[/]{errors}",
        f"{line.n:,}",
        f"[bold]{percent(line.accuracy)}",
        span(line.interval),
        percent(line.swapped),
        percent(line.rewarded),
        percent(line.format),
        points(line.gain) if line.versus else "",
        p_value(line.p),
    ]


def spoken(group: str) -> str:
    """`category/pan_left` as `pan left`."""
    return group.partition("/")[2].replace("_", " ") or "all questions"


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


def _test(block: Block, first: str | None, second: str, group: str) -> dict[str, Any]:
    for test in block["pairs"]:
        if (test["first"], test["second"], test["group"]) == (first, second, group):
            found: dict[str, Any] = test
            return found
    return {}
