"""All runs side by side, newest first: a table for the terminal, and a page with links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape
from rich.table import Table

from orchestrator.console import Console
from orchestrator.report.pages import environment, settings
from orchestrator.report.table import Line, lines, percent, span
from orchestrator.run.progress import clock
from orchestrator.trace.record import Record, headline, read_record
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import write_file

PAGE = "index.html"


class Entry(NamedTuple):
    """One run in the table."""

    name: str
    started: float
    """Unix time of its first finished stage; 0 before."""
    seconds: float
    """Of its finished stages; those that it reuses are counted where they were made."""
    stages: dict[str, str]
    """What each finished stage is judged by, such as `loss 0.123`; empty for many."""
    settings: dict[str, str]
    scores: dict[str, Line]
    """The last checkpoint's, by benchmark."""
    report: str | None
    """Its page, relative to the folder of the runs."""
    fault: str | None = None
    """Why it can't be read: it must not hide the others."""

    @property
    def day(self) -> str:
        """When it started, UTC."""
        return f"{datetime.fromtimestamp(self.started, UTC):%Y-%m-%d %H:%M}" if self.started else ""

    @property
    def took(self) -> str:
        """Its own time in words."""
        return clock(self.seconds) if self.seconds else ""


def entries(runs: Path) -> list[Entry]:
    """The runs of a folder, newest first."""
    names = sorted(path.parent.name for path in runs.glob("*/recipe.json"))
    every = [_entry(runs, name) for name in names]
    return sorted(every, key=lambda entry: entry.started, reverse=True)


def show_index(runs: Path, console: Console) -> None:
    """Print the table, and write the page."""
    every = entries(runs)
    if not every:
        console.say(f"no run in {escape(str(runs))} yet: `make demo` makes one")
        return
    console.out.print(_table(every))
    console.say(f"[bold]page[/]  [dim]{escape(str(write_index(runs, every)))}[/]")


def write_index(runs: Path, every: Sequence[Entry]) -> Path:
    """Write `runs/index.html`; of the settings it shows those that differ between the runs."""
    facts = {
        "entries": every,
        "benchmarks": benchmarks(every),
        "settings": differences(every),
        "percent": percent,
        "span": span,
    }
    write_file(runs / PAGE, environment().get_template("index.html.j2").render(facts))
    return runs / PAGE


def benchmarks(every: Sequence[Entry]) -> list[str]:
    """All that any run was evaluated on, in order of appearance."""
    return list(dict.fromkeys(name for entry in every for name in entry.scores))


def differences(every: Sequence[Entry]) -> list[str]:
    """Settings that not all runs share."""
    names = dict.fromkeys(name for entry in every for name in entry.settings)
    return [name for name in names if len({entry.settings.get(name) for entry in every}) > 1]


def _entry(runs: Path, name: str) -> Entry:
    try:
        record = read_record(runs, name)
        scores = dict(_scores(record))
    except CamReasonerError as error:
        return Entry(name, 0.0, 0.0, {}, {}, {}, None, str(error))
    own = [m for m in record.manifests.values() if m.get("run", record.name) == record.name]
    report = record.directory / "report" / "report.html"
    return Entry(
        name=record.name,
        started=min((float(m["started"]) for m in record.manifests.values()), default=0.0),
        seconds=sum(float(m["seconds"]) for m in own),
        stages={stage: headline(manifest) for stage, manifest in record.manifests.items()},
        settings=settings(record.recipe),
        scores=scores,
        report=f"{record.name}/report/report.html" if report.is_file() else None,
    )


def _scores(record: Record) -> Iterator[tuple[str, Line]]:
    for name, block in ((record.scores or {}).get("benchmarks") or {}).items():
        if every := list(lines(block)):
            yield name, every[-1]


def _table(every: Sequence[Entry]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("run", "started, UTC", "took", "finished"):
        table.add_column(column, no_wrap=column != "finished")
    names = benchmarks(every)
    for name in names:
        table.add_column(f"{name}, %", justify="right", no_wrap=True)
    for entry in every:
        scores = [entry.scores.get(name) for name in names]
        table.add_row(
            f"[bold cyan]{escape(entry.name)}[/]",
            entry.day,
            entry.took,
            escape(entry.fault or "") or ", ".join(entry.stages) or "nothing yet",
            *(line and f"{line.name} [bold]{percent(line.accuracy)}[/]" for line in scores),
        )
    return table
