"""Verbs about a recipe, one function a verb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.markup import escape

from orchestrator.console import Console
from orchestrator.doctor.examine import costs, examine
from orchestrator.errors import RecipeError, UnreadyError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.whole import read_json
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.run import store
from orchestrator.verbs.arguments import Flag, RecipeArguments, split
from orchestrator.verbs.plan import show_deviations, show_plan, show_views
from orchestrator.verbs.status import lacking, show_status
from reward_plugins.files import hold

Verb = Callable[[Sequence[str], Console], None]
RecipeVerb = Callable[[Recipe, Path, Console], None]


class StageArguments(RecipeArguments):
    """Keys of `stage`."""

    stage: str
    """the name of a training stage"""


class StatusArguments(RecipeArguments):
    """Keys of `status`."""

    deep: Flag = False
    """deep=true reads every file that a stage left"""


def run(recipe: Recipe, directory: Path, console: Console) -> None:
    """Every stage in order; finished ones are reused."""
    _bring(recipe, directory, console, "report")


def plan(recipe: Recipe, directory: Path, console: Console) -> None:
    """Print, and write, every file and command that would run."""
    made = make_plan(recipe, directory)
    target = made.directory / "plan"
    with hold(made.directory / ".plan.lock"):  # another one would remove what this one writes
        show_plan(made, target, console)
    show_views(recipe, console)
    show_deviations(recipe, console)
    for line in costs(recipe):
        console.say(f"[dim]{escape(line)}[/]")


def doctor(recipe: Recipe, directory: Path, console: Console) -> None:
    """Check recipe, machine and environments before anything starts.

    Raises `UnreadyError` when something must be mended first, once all of it is shown.
    """
    marks = {True: "[green]✔[/]", None: "•", False: "[red]✘[/]"}
    faults = 0
    for right, text in examine(make_plan(recipe, directory)):
        console.say(f"{marks[right]} {escape(text)}")
        faults += right is False
    for line in costs(recipe):
        console.say(f"[dim]{escape(line)}[/]")
    if faults:
        raise UnreadyError(f"recipe {recipe.name!r} can't run here yet: mend what is marked ✘")


def review(recipe: Recipe, directory: Path, console: Console) -> None:
    """Accept or reject trajectories on a local page."""
    from orchestrator.review.serve import serve

    made = _bring(recipe, directory, console, "data")
    serve(recipe, made.stage("data").directory, made.directory / "review", console)


def export(recipe: Recipe, directory: Path, console: Console) -> None:
    """Write the benchmarks' questions for lmms-eval and VLMEvalKit."""
    from orchestrator.evaluation.config import EvalConfig
    from orchestrator.evaluation.interop.export import export
    from orchestrator.evaluation.prepare import write_frames
    from orchestrator.evaluation.questions import asked
    from orchestrator.run.launch import launch

    made = make_plan(recipe, directory)
    stage = made.stage("eval")
    sources = [s for s in made.stages if s.name in ("data", "benchmarks") and stage.reads(s)]
    launch(made, sources, console)
    text = stage.files[str(stage.directory / "eval.json")]
    to = made.directory / "export"
    config = EvalConfig.model_validate_json(text).model_copy(update={"out": to})
    write_frames(config)
    for path in export(config, [asked(config, name) for name in config.benchmarks], to):
        console.say(f"[bold]written[/] {path}")


def setup(recipe: Recipe, directory: Path, console: Console) -> None:
    """Build the environments that the recipe needs."""
    from orchestrator.run.launch import build_environments

    build_environments(make_plan(recipe, directory).stages, console)


def status(words: Sequence[str], console: Console) -> None:
    """Which stages are done, and why one is stale; deep=true reads and checks every file."""
    own, overrides = split("status", StatusArguments, words)
    recipe = load_recipe(own.recipe, overrides)
    show_status(make_plan(recipe, own.runs_dir), console, own.deep)


def stage(words: Sequence[str], console: Console) -> None:
    """One training stage, with what it needs first: stage=<name>."""
    own, overrides = split("stage", StageArguments, words)
    recipe = load_recipe(own.recipe, overrides)
    if own.stage not in recipe.stages:
        known = ", ".join(recipe.stages) or "none"
        raise RecipeError(f"stage={own.stage}: recipe {recipe.name!r} has no such stage ({known})")
    _bring(recipe, own.runs_dir, console, own.stage)


def _last(kind: str, description: str) -> RecipeVerb:
    """Until the last stage of a kind."""

    def verb(recipe: Recipe, directory: Path, console: Console) -> None:
        names = [name for name, spec in recipe.stages.items() if spec.kind == kind]
        if not names:
            raise RecipeError(f"recipe {recipe.name!r} has no stage of kind {kind}")
        _bring(recipe, directory, console, names[-1])

    verb.__doc__ = description
    return verb


def _until(name: str, description: str) -> RecipeVerb:
    def verb(recipe: Recipe, directory: Path, console: Console) -> None:
        _bring(recipe, directory, console, name)

    verb.__doc__ = description
    return verb


def _bring(recipe: Recipe, directory: Path, console: Console, name: str) -> Plan:
    made = make_plan(recipe, directory)
    stages = made.until(name)
    for stage in stages:
        if stage.name == name and (sentences := store.lacking(stage)):
            console.say(f"[yellow]↻ {name} again: {escape('; '.join(sentences))}[/]")
            store.reopen(made, stage)
    if not all(store.is_done(stage) for stage in stages):
        console.announce(made, stages)
    from orchestrator.run.launch import launch

    launch(made, stages, console)
    if name in ("eval", "report"):
        scores = made.stage("eval").directory / "scores.json"
        from orchestrator.report.table import summary_table  # not needed to plan

        console.out.print(summary_table(read_json(scores, dict)))
    for stage in stages:
        for sentence in store.lacking(stage):
            console.say(lacking(stage, sentence))
    console.result(made, name)
    if name == "report":
        from orchestrator.trace.index import entries, write_index

        write_index(directory, entries(directory))
    return made


def _verb(name: str, about: RecipeVerb) -> Verb:
    """Load the recipe that the words name, with their overrides."""

    def verb(words: Sequence[str], console: Console) -> None:
        own, overrides = split(name, RecipeArguments, words)
        about(load_recipe(own.recipe, overrides), own.runs_dir, console)

    verb.__doc__ = about.__doc__
    return verb


ABOUT: dict[str, RecipeVerb] = {
    "run": run,
    "setup": setup,
    "data": _until("data", "Clips and questions."),
    "review": review,
    "model": _until("model", "The base model: build the tiny one, or fetch it from the Hub."),
    "sft": _last("sft", "Supervised fine-tuning in LLaMA-Factory, to the last such stage."),
    "rl": _last("rl", "GRPO in verl or EasyR1, to the last such stage."),
    "eval": _until("eval", "Evaluate the recipe's checkpoints on held-out questions."),
    "export": export,
    "report": _until("report", "Write the report page."),
    "plan": plan,
    "doctor": doctor,
}
"""Verbs that take a recipe and nothing besides."""
VERBS: dict[str, Verb] = {name: _verb(name, about) for name, about in ABOUT.items()}
VERBS |= {"stage": stage, "status": status}
