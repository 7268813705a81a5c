"""Published tables, and whether their averages follow from their cells.

A cell of one decimal about n questions usually fits one count of right answers, which gives the
exact share behind it. The sample-weighted and the macro average are recomputed from those, and
compared with the one that is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

FILE = Path(__file__).with_name("published.yaml")
HALF = 0.05
"""Percentage points that rounding to one decimal may move a number."""

NAMES = {"weighted": "sample-weighted", "macro": "macro"}

Row = tuple[float | None, ...]
Span = tuple[float, float]


class Published(BaseModel):
    """One table of one source, in percent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    source: str
    dataset: str
    """The `dataset` of the samples that it is about."""
    columns: dict[str, str]
    """Groups of questions or measures, and what the source calls them."""
    counts: tuple[int, ...] = ()
    """Questions of each column."""
    average: Literal["weighted", "unsaid"] | None = None
    """What the source says its last column is; None where it has none."""
    ran_again: bool = False
    """The source says that it ran all models itself."""
    rows: dict[str, Row] = Field(min_length=1)
    """By model: a value for each column, then the average."""

    @field_validator("rows", mode="before")
    @classmethod
    def _split(cls, rows: dict[str, object]) -> dict[str, Row]:
        return {
            name: tuple(None if cell == "-" else float(cell) for cell in str(cells).split())
            for name, cells in rows.items()
        }

    @model_validator(mode="after")
    def _is_rectangular(self) -> Published:
        wide = len(self.columns) + (self.average is not None)
        odd = [name for name, row in self.rows.items() if len(row) != wide]
        if odd or len(self.counts) not in (0, len(self.columns)):
            raise ValueError(f"{self.title}: {odd or 'counts'} must have {wide} columns")
        return self

    def cells(self, model: str) -> Row:
        """The row without its average."""
        return self.rows[model][: len(self.columns)]


class Derived(NamedTuple):
    """An average, recomputed both ways from a row's cells, in percent."""

    printed: float
    weighted: Span
    """Least and most that the cells allow; nearly always the same."""
    macro: Span
    impossible: tuple[str, ...]
    """Columns whose cell is no share of that many questions."""

    @property
    def follows(self) -> tuple[str, ...]:
        """Which of the two averages rounds to the printed one: one, both, or none."""
        return tuple(
            name
            for name, (low, high) in (("weighted", self.weighted), ("macro", self.macro))
            if low - HALF <= self.printed + 1e-9 and self.printed - 1e-9 <= high + HALF
        )


@cache
def tables() -> tuple[Published, ...]:
    """Every published table, in the order of the file."""
    return tuple(map(Published.model_validate, yaml.safe_load(FILE.read_text())))


def derive(table: Published, model: str) -> Derived:
    """The averages of one row of a table that has averages."""
    printed = table.rows[model][-1]
    assert table.average is not None and printed is not None
    cells = [cell for cell in table.cells(model) if cell is not None]
    spans = [_shares(cell, n) for cell, n in zip(cells, table.counts, strict=True)]
    exact = [s or (c - HALF, c + HALF) for s, c in zip(spans, cells, strict=True)]
    return Derived(
        printed,
        _mean(exact, cells, table.counts),
        _mean(exact, cells, [1] * len(cells)),
        tuple(c for c, span in zip(table.columns, spans, strict=True) if span is None),
    )


def remarks(table: Published) -> list[str]:
    """What a reader should know before comparing with this table."""
    return [*_on_averages(table), *_on_cells(table), *_on_repeats(table)]


def _on_averages(table: Published) -> Iterator[str]:
    if table.average is None:
        return
    found = {model: derive(table, model).follows for model in table.rows}
    for kind in ("weighted", "macro"):
        only = [model for model, follows in found.items() if follows == (kind,)]
        if only and (kind != table.average or len(only) < len(found)):
            yield f"Only the {NAMES[kind]} mean gives the average of {_some(only, found)}."
    neither = [model for model, follows in found.items() if not follows]
    if neither:
        yield f"Neither mean gives the average of {_some(neither, found)}."
    if table.average == "weighted" and all("weighted" in follows for follows in found.values()):
        yield "Every average is the sample-weighted mean of its cells, as the source says."
    elif table.average == "weighted":
        yield "The source says that all averages are sample-weighted."


def _on_cells(table: Published) -> Iterator[str]:
    if table.average is None:
        return
    for model in table.rows:
        if odd := derive(table, model).impossible:
            cells = ", ".join(table.columns[column] for column in odd)
            yield f"{model}: no count of right answers gives the cells {cells}."


def _on_repeats(table: Published) -> Iterator[str]:
    """A source that says it ran every model, with another's numbers to the decimal."""
    if not table.ran_again:
        return
    for number, column in enumerate(table.columns):
        for other in tables():
            if other is table or column not in other.columns:
                continue
            place = list(other.columns).index(column)
            both = [
                (row[number], other.rows[model][place])
                for model, row in table.rows.items()
                if model in other.rows and row[number] is not None
            ]
            same = sum(mine == theirs for mine, theirs in both)
            if both and same == len(both):
                yield (
                    f"{table.columns[column]}: {same} of {len(both)} rows are those of "
                    f"{other.source} to the decimal, though the source says that it ran them again."
                )


def _shares(cell: float, n: int) -> Span | None:
    """The shares of n that round to the cell, least and most; None where there are none."""
    middle = round(cell * n / 100)
    near = [100 * right / n for right in range(max(0, middle - 1), min(n, middle + 1) + 1)]
    fitting = [share for share in near if abs(share - cell) <= HALF + 1e-9]
    return (min(fitting), max(fitting)) if fitting else None


def _mean(exact: Sequence[Span], cells: Sequence[float], weights: Sequence[int]) -> Span:
    """Of the exact shares, or of the cells as they are printed: authors average either."""
    columns = (*zip(*exact, strict=True), cells)
    means = [
        sum(share * weight for share, weight in zip(column, weights, strict=True)) / sum(weights)
        for column in columns
    ]
    return min(means), max(means)


def _some(models: Sequence[str], of: Sized) -> str:
    listed = f" ({', '.join(models)})" if len(models) <= 10 else ""
    return f"{len(models)} of {len(of)} rows{listed}"
