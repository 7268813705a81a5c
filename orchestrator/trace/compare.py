"""Two runs side by side: recipe, code, machine, packages, results and scores that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table

from orchestrator.console import Console
from orchestrator.plan.extra import flat
from orchestrator.report.table import Line, lines, percent, points, span
from orchestrator.trace.record import Record

MISSING = "-"


class Difference(NamedTuple):
    """One thing that is not the same in two runs."""

    part: str
    key: str
    first: str
    second: str


def compare(first: Record, second: Record, console: Console) -> None:
    """Print what differs between two runs, and their scores."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("", first.name, second.name):
        table.add_column(escape(column), overflow="fold", no_wrap=not column)
    for part, rows in groupby(differences(first, second), key=lambda row: row.part):
        table.add_row(f"[bold]{part}[/]")
        for row in rows:
            table.add_row(f"  {escape(row.key)}", escape(row.first), escape(row.second))
    if table.rows:
        console.out.print(table)
    else:
        console.say(f"{escape(first.name)} and {escape(second.name)} do not differ")
    if first.scores and second.scores:
        for benchmark in dict.fromkeys([*_boards(first), *_boards(second)]):
            console.out.print(_scores(benchmark, first, second))


def differences(first: Record, second: Record) -> Iterator[Difference]:
    """Everything that differs, in the order: recipe, code, machine, packages, stages."""
    recipes = [{k: v for k, v in flat(r.recipe).items() if k != "name"} for r in (first, second)]
    yield from _differ("recipe", *recipes)
    for part, facts in (("code", _code), ("machine", _machine), ("locks", _locks)):
        yield from _differ(part, facts(first), facts(second))
    packages = first.packages(), second.packages()
    for name in sorted({*packages[0], *packages[1]}):
        if all(name in side for side in packages):
            yield from _differ(f"packages of {name}", *(side[name] for side in packages))
    yield from _differ("result of stage", _results(first), _results(second))


def _differ(part: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for key in dict.fromkeys([*first, *second]):
        one, other = first.get(key, MISSING), second.get(key, MISSING)
        if one != other:
            yield Difference(part, key, str(one), str(other))


def _code(record: Record) -> dict[str, str]:
    codes = {stage: m["code"] for stage, m in record.manifests.items() if m.get("code")}
    return {
        stage: f"{(code['commit'] or 'no git checkout')[:12]}"
        + (f" + patch {code['diff'][:8]}" if code["dirty"] else "")
        for stage, code in codes.items()
    }


def _machine(record: Record) -> dict[str, str]:
    machines = {stage: m.get("machine") or {} for stage, m in record.manifests.items()}
    return {f"{stage}: {key}": str(v) for stage, own in machines.items() for key, v in own.items()}


def _locks(record: Record) -> dict[str, str]:
    each = (m.get("environments", {}) for m in record.manifests.values())
    return {name: e["lock"] for environments in each for name, e in environments.items()}


def _results(record: Record) -> dict[str, str]:
    sums = {stage: m.get("outputs") for stage, m in record.manifests.items()}
    return {stage: outputs["sha256"][:16] for stage, outputs in sums.items() if outputs}


def _boards(record: Record) -> dict[str, Any]:
    boards: dict[str, Any] = (record.scores or {}).get("benchmarks", {})
    return boards


def _scores(benchmark: str, first: Record, second: Record) -> Table:
    table = Table(
        title=f"Accuracy, %, on {benchmark}", box=None, padding=(0, 2, 0, 0), pad_edge=False
    )
    table.add_column("")
    for column in (first.name, "95 %", second.name, "95 %", "difference"):
        table.add_column(escape(column), justify="right")
    sides: list[dict[str, Line]] = [
        {line.name: line for line in (lines(board) if board else ())}
        for board in (_boards(record).get(benchmark) for record in (first, second))
    ]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        one, other = (side.get(name) for side in sides)
        gain = other.accuracy - one.accuracy if one and other else None
        cells = [
            text
            for line in (one, other)
            for text in ((percent(line.accuracy), span(line.interval)) if line else ("-", "-"))
        ]
        table.add_row(f"[bold cyan]{name}[/]", *cells, points(gain))
    return table
