"""Verbs about runs that are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from rich.markup import escape

from orchestrator.console import Console
from orchestrator.run import clean
from orchestrator.verbs.arguments import Arguments, Flag, Several, parse


class ShowArguments(Arguments):
    """Keys of `show`."""

    bare: ClassVar = ("run",)
    run: str | None = None
    """a run's name (all runs, in one table)"""


class RunArguments(Arguments):
    """Of verbs about one run."""

    bare: ClassVar = ("run",)
    run: str
    """the run's name"""


class DiffArguments(Arguments):
    """Keys of `diff`."""

    bare: ClassVar = ("run",)
    run: Annotated[tuple[str, ...], Several, Field(min_length=2, max_length=2)]
    """two runs' names: run=one,other"""


class ReproArguments(RunArguments):
    """Keys of `repro`."""

    name: str | None = None
    """of the new run (<run>-repro)"""


class PublishArguments(RunArguments):
    """Keys of `publish`."""

    what: str | None = None
    """a policy (the last), or data"""
    repo: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    """where to: an owner and a name, like me/policy"""
    private: Flag = True
    """private=false shows it to everyone"""
    confirm: Flag = False
    """confirm=true sends it"""


class CleanArguments(Arguments):
    """Keys of `clean-runs`."""

    yes: Flag = False
    """yes=true removes what is shown"""
    caches: Flag = False
    """caches=true counts the frames in"""


def show(words: Sequence[str], console: Console) -> None:
    """All runs in one table, newest first; or one: stages, times, scores, where things are."""
    from orchestrator.trace.index import show_index
    from orchestrator.trace.page import show as show_page
    from orchestrator.trace.record import read_record

    own = parse("show", ShowArguments, words)
    if own.run is None:
        show_index(own.runs_dir, console)
    else:
        show_page(read_record(own.runs_dir, own.run), console)


def diff(words: Sequence[str], console: Console) -> None:
    """What differs between two runs: recipe, code, packages, results, scores."""
    from orchestrator.trace.compare import compare
    from orchestrator.trace.record import read_record

    own = parse("diff", DiffArguments, words)
    first, second = (read_record(own.runs_dir, name) for name in own.run)
    compare(first, second, console)


def repro(words: Sequence[str], console: Console) -> None:
    """Rebuild a run from its manifests, and tell which files come out the same."""
    from orchestrator.trace.record import read_record
    from orchestrator.trace.repro import repro as rebuild

    own = parse("repro", ReproArguments, words)
    record = read_record(own.runs_dir, own.run)
    rebuild(record, own.runs_dir, own.name or f"{own.run}-repro", console)


def publish(words: Sequence[str], console: Console) -> None:
    """Show what would go to the Hub; repo=me/name confirm=true sends it, privately."""
    from orchestrator.publish.publish import publish as publish_run
    from orchestrator.trace.record import read_record

    own = parse("publish", PublishArguments, words)
    record = read_record(own.runs_dir, own.run)
    publish_run(record, console, own.what, own.repo, own.private, own.confirm)


def clean_runs(words: Sequence[str], console: Console) -> None:
    """Show what no run needs; yes=true removes it, caches=true counts the frames in."""
    own = parse("clean-runs", CleanArguments, words)
    found = list(clean.find_waste(own.runs_dir, caches=own.caches))
    for waste in found:
        where = escape(str(waste.path.relative_to(own.runs_dir)))
        console.say(f"{waste.bytes / 1e6:>10,.1f} MB  {where}  [dim]{waste.why}[/]")
    total = f"{sum(waste.bytes for waste in found) / 1e6:,.1f} MB in {len(found)} places"
    if not own.yes:
        console.say(f"[bold]{total}[/] would be freed" + ("; add yes=true to do it" * bool(found)))
        return
    kept = {waste: why for waste in found if (why := clean.remove(own.runs_dir, waste))}
    for waste, why in kept.items():
        console.say(f"[yellow]kept {waste.path.name}: {why}[/]")
    freed = sum(waste.bytes for waste in found if waste not in kept)
    console.say(f"[bold]{freed / 1e6:,.1f} MB[/] freed")
