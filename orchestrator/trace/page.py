"""One page about a run: its stages, times and scores, and where things are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from orchestrator.console import Console
from orchestrator.plan import whole
from orchestrator.report.table import summary_table
from orchestrator.run import policies
from orchestrator.run.manifest import FOLDER, PATCH
from orchestrator.run.progress import clock
from orchestrator.trace.record import Record, headline


def show(record: Record, console: Console) -> None:
    """Print the page."""
    console.say(f"[bold]{escape(record.name)}[/]  [dim]{escape(str(record.directory))}[/]")
    if not record.manifests:
        console.say("no stage is finished yet")
        return
    console.out.print(_stages(record))
    for words, text in _origins(record):
        console.say(f"[bold]{words}[/]  {escape(text)}")
    for stage in record.manifests:
        if faults := whole.faults(record.directory / stage):
            console.say(f"[yellow]{stage}: not whole: {escape(whole.few(faults))}[/]")
        elif names := [*whole.modified(record.directory / stage)]:
            console.say(
                f"[yellow]{stage}: changed since it finished: {escape(whole.few(names))}[/]"
            )
    if record.scores is not None:
        console.out.print(summary_table(record.scores))
    for words, path in _places(record):
        console.say(f"[bold]{words}[/]  [dim]{escape(path)}[/]")


def _stages(record: Record) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    makers = {stage: manifest.get("run", "?") for stage, manifest in record.manifests.items()}
    columns = ["stage", "started, UTC", "took", "attempts", "leaves", "result"]
    shared = any(maker != record.name for maker in makers.values())
    for column in [*columns, "made by"] if shared else columns:
        numbers = column in ("took", "attempts")
        table.add_column(column, justify="right" if numbers else "left", no_wrap=column != "result")
    for stage, manifest in record.manifests.items():
        made_by = "" if makers[stage] == record.name else escape(makers[stage])
        table.add_row(
            f"[bold cyan]{stage}[/]",
            f"{datetime.fromtimestamp(manifest['started'], UTC):%Y-%m-%d %H:%M}",
            clock(manifest["seconds"]),
            str(len(manifest.get("attempts", [])) or "?"),
            _size(manifest.get("outputs")),
            headline(manifest),
            *([made_by] if shared else []),
        )
    return table


def _size(outputs: dict[str, Any] | None) -> str:
    if outputs is None:
        return "?"
    return f"{outputs['files']:,} files, {outputs['bytes'] / 1e6:,.1f} MB"


def _origins(record: Record) -> list[tuple[str, str]]:
    """Machine and code, each once with the stages it holds for."""
    found: dict[tuple[str, str], list[str]] = {}
    for stage, manifest in record.manifests.items():
        if machine := manifest.get("machine"):
            found.setdefault(("machine", _machine(machine)), []).append(stage)
        if code := manifest.get("code"):
            found.setdefault(("code", _code(code)), []).append(stage)
    total = len(record.manifests)
    return [
        (words, text if len(stages) == total else f"{text} ({', '.join(stages)})")
        for (words, text), stages in sorted(found.items())
    ]


def _machine(machine: dict[str, Any]) -> str:
    gpus = machine["gpus"]
    shown = f"{len(gpus)} {gpus[0]['name']}, driver {gpus[0]['driver_version']}" if gpus else "none"
    return (
        f"{machine['hostname']}: {machine['cpus']} cores of {machine['cpu']}, "
        f"{machine['memory_bytes'] / 1e9:.0f} GB; GPUs: {shown}; Python {machine['python']}"
    )


def _code(code: dict[str, Any]) -> str:
    if code["commit"] is None:
        return "no git checkout"
    changed = f" and the changes of {FOLDER}/{PATCH} {code['diff'][:8]}" if code["dirty"] else ""
    return f"commit {code['commit'][:12]}{changed}"


def _places(record: Record) -> list[tuple[str, str]]:
    paths = {f"policy {n}": p for n, p in policies.trained(record.directory, record.recipe).items()}
    paths["answers"] = record.directory / "eval" / "predictions.parquet"
    paths["report"] = record.directory / "report" / "report.html"
    return [(words, str(path)) for words, path in paths.items() if path.exists()]
