"""Plan -> finished stages: run through Ray what is not done yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape

from data_builders.frame_cache import in_use
from orchestrator import envs
from orchestrator.console import Console
from orchestrator.errors import StageError, UnreadyError
from orchestrator.plan import loggers, whole
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import ROOT, Stage
from orchestrator.run import checkpoints, cluster, manifest, store
from orchestrator.run.attempts import Attempts
from orchestrator.run.deaths import RAY, Death
from orchestrator.run.execute import AttemptError, attempt
from orchestrator.run.refresh import refreshed

TAIL_LINES = 25


def launch(plan: Plan, stages: Sequence[Stage], console: Console) -> None:
    """Bring every stage of `stages` to its manifest, in order; finished ones are reused.

    A stage that dies is started again from its newest whole checkpoint. Raises `StageError` when
    that can't help or didn't (cause, log and what to override), `ResourceError` when the
    machine or the cluster is too small, `RunLockedError` when another process owns a stage,
    `UnreadyError` when a logger's package is missing.
    """
    waiting = [stage for stage in stages if not store.reuse(plan, stage)]
    for stage in stages:
        if stage not in waiting:
            console.reused(stage)
    if not waiting:
        return
    if faults := [*loggers.missing(plan.recipe.loggers, waiting)]:
        raise UnreadyError("\n".join(faults))
    if any(c.environment != "orchestrator" for stage in waiting for c in stage.commands):
        cluster.check_gpus(plan.recipe)  # data and report need none
    build_environments(waiting, console)
    rows = {stage.name: [stage] for stage in stages}
    frames = in_use(ROOT / plan.recipe.data.cache_dir)
    with frames, closing(cluster.Session(plan.recipe)) as session:
        session.address()  # before the view: Ray may warn past it
        cluster.check_nodes(waiting)
        with console.watching(rows):
            for stage in waiting:
                with store.owned(stage), refreshed(plan, stage, console):
                    store.claim(plan, stage)
                    if not store.is_done(stage):
                        _bring(plan, stage, session, console)
                store.show_in_run(plan, stage)


def build_environments(stages: Sequence[Stage], console: Console) -> None:
    """Build what the stages' commands run in, each once."""
    for name in dict.fromkeys(c.environment for stage in stages for c in stage.commands):
        build_environment(name, console)


def build_environment(name: str, console: Console) -> None:
    """Build one environment, unless it is ready."""
    if not envs.is_ready(name):
        with console.waiting(f"installing environment {name} from envs/{name}.txt"):
            envs.build(name)


def _bring(plan: Plan, stage: Stage, session: cluster.Session, console: Console) -> None:
    """Start the stage until it is done, at most `recovery.max_attempts` times."""
    _check_needs(stage)
    gone = whole.gone(stage.directory)
    for fault in store.mend(stage):
        console.say(f"[yellow]↻ {stage.name} again: {escape(fault)}[/]")
    store.write_files(stage)
    origin = manifest.origin(plan, stage)
    attempts, most = Attempts(stage.directory), plan.recipe.recovery.max_attempts
    started, deaths = time.time(), list[Death]()
    while True:
        newest = checkpoints.newest(stage, console)
        log = attempts.start(newest)
        console.started(stage, log)
        try:
            with _noted(attempts):
                done = attempt(plan.recipe, stage, newest, session, log, console)
            break
        except AttemptError as error:
            deaths.append(error.death)
            if (why := why_stop(deaths, most)) is not None:
                raise StageError(_failure(stage, deaths, why, error.log)) from None
            console.say(_again(stage, deaths, most))
            session.drop()  # with all that the dead attempt may have left in it
    took = time.time() - started
    facts = {"started": started, "seconds": took, "log": str(log), **asdict(done)}
    store.finish(stage, {**facts, **origin, **manifest.result(stage)})
    console.finished(stage, took)
    if lost := [name for name in gone if not (stage.directory / name).is_file()]:
        told = f"{stage.name}: not made again, as no update was: {whole.few(lost)}"
        console.say(f"[yellow]{escape(told)}[/]")


@contextmanager
def _noted(attempts: Attempts) -> Iterator[None]:
    """Note how the attempt ends."""
    try:
        yield
    except AttemptError as error:
        death = error.death
        with suppress(OSError):  # a full disk, of which it may have died, takes no note of it
            attempts.end("died", death.place, death.cause, death.advice)
        raise
    except KeyboardInterrupt:
        attempts.end("interrupted")
        raise
    attempts.end("done")


def why_stop(deaths: Sequence[Death], most: int) -> str | None:
    """Why another attempt is not worth it."""
    last = deaths[-1]
    if last.final is not None:
        return last.final
    if len(deaths) > 1 and deaths[-2].place == last.place != RAY:
        return "it died there twice"
    if len(deaths) >= most:
        return f"recovery.max_attempts is {most}"
    return None


def _again(stage: Stage, deaths: Sequence[Death], most: int) -> str:
    last = deaths[-1]
    advice = f"; if it comes again, try {' or '.join(last.advice)}" if last.advice else ""
    text = f"{stage.name} died with {last.cause} in {last.place}{advice}"
    return f"[yellow]↻ {escape(text)}[/]\n[yellow]↻ attempt {len(deaths) + 1} of {most}[/]"


def _check_needs(stage: Stage) -> None:
    for path in stage.needs:
        if not path.exists():
            there = sorted(p.name for p in path.parent.glob("*") if not p.name.startswith("."))
            raise StageError(
                f"stage {stage.name!r} needs {path}, which does not exist; "
                f"{path.parent} holds: {', '.join(there) or 'nothing'}. "
                "Choose another checkpoint, or save it (save_every of its stage)."
            )


def _failure(stage: Stage, deaths: Sequence[Death], why: str, log: Path) -> str:
    last = deaths[-1]
    tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    again = f" (attempt {len(deaths)})" if len(deaths) > 1 else ""
    advice = "".join(f"\n  try {override}" for override in last.advice)
    return (
        f"stage {stage.name!r} died with {last.cause} in {last.place}{again}; not tried again: "
        f"{why}.{advice}\nThe last lines of {log}:\n  " + "\n  ".join(tail)
    )
