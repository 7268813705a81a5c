"""The published tables with our rows beside theirs, read by the same rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from orchestrator.evaluation.published import Derived, Published, derive, remarks, tables
from orchestrator.report.table import Block, always

Cells = list[float | None]
"""In percent."""


class Beside(NamedTuple):
    """One row: ours, a baseline's, or a published one."""

    name: str
    kind: str
    """`ours`, `baseline` or `published`."""
    printed: float | None
    """The average that the source prints."""
    weighted: float | None
    macro: float | None
    follows: tuple[str, ...]
    """Which of the two the printed average is."""
    cells: Cells


class Comparison(NamedTuple):
    """A published table and all rows beside each other."""

    table: Published
    rows: list[Beside]
    remarks: list[str]


def comparisons(block: Block) -> list[Comparison]:
    """A comparison for each published table about a data set of this benchmark."""
    return [
        Comparison(table, [*_ours(table, block), *_theirs(table)], remarks(table))
        for table in tables()
        if f"dataset/{table.dataset}" in block["baselines"]
        and any(_value(table, shown, column) is not None
                for shown in _scores(block) for column in table.columns)
    ]  # fmt: skip


def _scores(block: Block) -> list[dict[str, Any]]:
    return [checkpoint["shown"] for checkpoint in block["checkpoints"].values()]


def _ours(table: Published, block: Block) -> Iterator[Beside]:
    for name, checkpoint in block["checkpoints"].items():
        shown = checkpoint["shown"]
        cells = [_value(table, shown, column) for column in table.columns]
        whole = shown.get(f"dataset/{table.dataset}", {})
        yield _row(name, "ours", table, cells, _accuracy(whole))
    if table.average is None and not any(c.startswith("category/") for c in table.columns):
        return
    own = block["baselines"]
    whole = own[f"dataset/{table.dataset}"]
    named = {"majority": always(whole["majority_answer"]), "text_only": "text alone, no clip"}
    for key, words in named.items():
        cells = [own[column][key] if column in own else None for column in table.columns]
        yield _row(words, "baseline", table, cells, whole[key])


def _row(name: str, kind: str, table: Published, cells: Cells, whole: float | None) -> Beside:
    percents = [None if cell is None else 100 * cell for cell in cells]
    known = [cell for cell in percents if cell is not None]
    averaged = table.average is not None and len(known) == len(percents)
    return Beside(
        name, kind, None,
        100 * whole if averaged and whole is not None else None,
        sum(known) / len(known) if averaged else None,
        (), percents,
    )  # fmt: skip


def _theirs(table: Published) -> Iterator[Beside]:
    for model in table.rows:
        cells = list(table.cells(model))
        if table.average is None:
            yield Beside(model, "published", None, None, None, (), cells)
            continue
        found = derive(table, model)
        yield Beside(
            model, "published", found.printed,
            _middle(found, "weighted"), _middle(found, "macro"), found.follows, cells,
        )  # fmt: skip


def _middle(found: Derived, kind: str) -> float:
    """Of what the cells allow; the printed average where they allow that."""
    low, high = getattr(found, kind)
    return found.printed if kind in found.follows else (low + high) / 2


def _value(table: Published, shown: dict[str, Any], column: str) -> float | None:
    """A category's accuracy, or a measure over the whole data set."""
    if column.startswith("category/"):
        return _accuracy(shown.get(column, {}))
    value = shown.get(f"dataset/{table.dataset}", {}).get(column)
    return value if isinstance(value, float) else None


def _accuracy(scores: dict[str, Any]) -> float | None:
    """By the rule of the published rows."""
    return scores.get("published_rule")
