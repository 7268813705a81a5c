"""The command line: one verb, one recipe, and overrides of its keys."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from orchestrator import verbs
from orchestrator.ablate import ablate
from orchestrator.ask.command import COMMANDS
from orchestrator.console import Console
from orchestrator.errors import RecipeError
from orchestrator.recipe import load_recipe
from orchestrator.run_verbs import RUN_VERBS
from reward_plugins.errors import CamReasonerError

DEFAULT_RECIPE = "camreasoner_7b"
STAGE = "stage"
"""Takes the name of a stage besides."""
SWEEP = "ablate"
"""The one verb that is about many recipes: it loads them itself."""
ROOM = "make room, and the same command goes on from here"
ELSEWHERE = "name another folder (runs_dir=), or mend that one"
LOCKS = "this file system has no locks, which keep two commands apart: put runs_dir= on another"
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), ELSEWHERE),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP), ELSEWHERE),
    **dict.fromkeys((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP), LOCKS),
}
"""What to do about an error of the system's."""
OWN_ARGUMENTS = {**RUN_VERBS, **COMMANDS}
"""Verbs that are not about a recipe."""
USAGE = "usage: python -m orchestrator <verb> [recipe=<name>] [<run> ...] [key=value ...]"


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return the exit code: 0 done, 1 failed, 2 misused, 130 interrupted."""
    console, arguments = Console(), words(arguments)
    known = {**verbs.VERBS, SWEEP: ablate, **OWN_ARGUMENTS}
    if not arguments or arguments[0] not in known:
        console.text(f"{USAGE}\nverbs:")
        for name, verb in known.items():
            console.say(f"  {name:<10} {(verb.__doc__ or '').splitlines()[0]}")
        return 0 if arguments[:1] in (["help"], ["--help"], ["-h"]) else 2
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
        signal.signal(number, _interrupt)
    started = time.monotonic()
    try:
        _run(arguments[0], arguments[1:], console)
    except CamReasonerError as error:
        console.error(str(error))
        return 1
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        console.error(f"{error}: {REMEDIES[error.errno]}")
        return 1
    except KeyboardInterrupt:
        again = "" if arguments[0] in OWN_ARGUMENTS else "; the same command goes on from here"
        console.error(f"interrupted after {time.monotonic() - started:.0f} s{again}")
        return 130
    return 0


def words(arguments: Sequence[str]) -> list[str]:
    """Each argument `ARGS=...`, in which make hands on what it was given, as its words."""
    groups = (shlex.split(a[5:]) if a.startswith("ARGS=") else [a] for a in arguments)
    return [word for group in groups for word in group]


def _run(verb: str, arguments: Sequence[str], console: Console) -> None:
    if verb in OWN_ARGUMENTS:
        return OWN_ARGUMENTS[verb](arguments, console)
    name, runs, overrides = split(arguments)
    if verb == STAGE:
        named = [word.partition("=")[2] for word in overrides if word.startswith("stage=")]
        others = [word for word in overrides if not word.startswith("stage=")]
        verbs.stage(load_recipe(name, others), runs, console, *named[:1])
    elif verb == SWEEP:
        ablate(name, overrides, runs, console)
    else:
        verbs.VERBS[verb](load_recipe(name, overrides), runs, console)


def split(arguments: Sequence[str]) -> tuple[str, Path, list[str]]:
    """`recipe=` and `runs_dir=` from the overrides; raises `RecipeError` for anything else."""
    given = {"recipe": DEFAULT_RECIPE, "runs_dir": "runs"}
    overrides: list[str] = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals and not argument.startswith("~"):
            raise RecipeError(f"{argument!r}: expected key=value; {USAGE}")
        if key in given:
            given[key] = value
        else:
            overrides.append(argument)
    return given["recipe"], Path(os.path.realpath(given["runs_dir"])), overrides


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
