"""Verbs about runs that are there: `python -m orchestrator <verb> <run> ... [key=value ...]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.markup import escape

from orchestrator.console import Console
from orchestrator.errors import RecipeError
from orchestrator.run import clean

RunVerb = Callable[[Sequence[str], Console], None]


def show(arguments: Sequence[str], console: Console) -> None:
    """A page about a run: stages, times, scores, and where things are."""
    from orchestrator.trace.page import show as show_page
    from orchestrator.trace.record import read_record

    (name,), runs, _ = _given("show <run>", arguments, names=1)
    show_page(read_record(runs, name), console)


def diff(arguments: Sequence[str], console: Console) -> None:
    """What differs between two runs: recipe, code, packages, results, scores."""
    from orchestrator.trace.compare import compare
    from orchestrator.trace.record import read_record

    (first, second), runs, _ = _given("diff <run> <run>", arguments, names=2)
    compare(read_record(runs, first), read_record(runs, second), console)


def repro(arguments: Sequence[str], console: Console) -> None:
    """Rebuild a run from its manifests, and tell which files come out the same."""
    from orchestrator.trace.record import read_record
    from orchestrator.trace.repro import repro as rebuild

    (name,), runs, options = _given("repro <run> [name=<new>]", arguments, names=1, known=("name",))
    rebuild(read_record(runs, name), runs, options.get("name", f"{name}-repro"), console)


def publish(arguments: Sequence[str], console: Console) -> None:
    """Show what would go to the Hub; repo=me/name confirm=true sends it, privately."""
    from orchestrator.publish.verb import OPTIONS
    from orchestrator.publish.verb import publish as publish_run
    from orchestrator.trace.record import read_record

    usage = "publish <run> [what=rl|sft|data] [repo=me/name] [private=false] [confirm=true]"
    (name,), runs, options = _given(usage, arguments, names=1, known=OPTIONS)
    publish_run(read_record(runs, name), options, console)


def clean_runs(arguments: Sequence[str], console: Console) -> None:
    """Show what no run needs; yes=true removes it, caches=true counts the frames in."""
    _, runs, options = _given(
        "clean-runs [yes=true] [caches=true]", arguments, names=0, known=("yes", "caches")
    )
    found = list(clean.find_waste(runs, caches=options.get("caches") == "true"))
    for waste in found:
        where = escape(str(waste.path.relative_to(runs)))
        console.say(f"{waste.bytes / 1e6:>10,.1f} MB  {where}  [dim]{waste.why}[/]")
    total = f"{sum(waste.bytes for waste in found) / 1e6:,.1f} MB in {len(found)} places"
    if options.get("yes") != "true":
        console.say(f"[bold]{total}[/] would be freed" + ("; add yes=true to do it" * bool(found)))
        return
    kept = {waste: why for waste in found if (why := clean.remove(runs, waste))}
    for waste, why in kept.items():
        console.say(f"[yellow]kept {waste.path.name}: {why}[/]")
    freed = sum(waste.bytes for waste in found if waste not in kept)
    console.say(f"[bold]{freed / 1e6:,.1f} MB[/] freed")


def _given(
    usage: str, arguments: Sequence[str], names: int, known: tuple[str, ...] = ()
) -> tuple[list[str], Path, dict[str, str]]:
    """Names of runs, the runs directory, and options; `RecipeError` for anything else."""
    options = dict(a.split("=", 1) for a in arguments if "=" in a)
    given = [a for a in arguments if "=" not in a]
    unknown = options.keys() - {*known, "runs_dir", "recipe"}
    if len(given) != names or unknown:
        raise RecipeError(
            f"usage: python -m orchestrator {usage} [runs_dir=<folder>]; found "
            f"{' '.join(arguments) or 'nothing'}"
        )
    return given, Path(options.get("runs_dir", "runs")).resolve(), options


RUN_VERBS: dict[str, RunVerb] = {
    "show": show,
    "diff": diff,
    "repro": repro,
    "publish": publish,
    "clean-runs": clean_runs,
}
