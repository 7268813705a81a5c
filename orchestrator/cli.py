"""The command line: one verb, one recipe, and overrides of its keys."""

from __future__ import annotations

import errno
import shlex
import signal
import time
from collections.abc import Sequence
from types import FrameType

from orchestrator.console import Console
from orchestrator.verbs import GO_ON, VERBS
from orchestrator.verbs.folders import ELSEWHERE
from reward_plugins.errors import CamReasonerError

ROOM = "make room, and the same command goes on from here"
LOCKS = "this file system has no locks, which keep two commands apart: put runs_dir= on another"
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), ELSEWHERE),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP), ELSEWHERE),
    **dict.fromkeys((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP), LOCKS),
}
"""What to do about an error of the system's."""
USAGE = "usage: camreasoner <verb> [recipe=<name>] [key=value ...]"


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return the exit code: 0 done, 1 failed, 2 misused, 130 interrupted."""
    console, arguments = Console(), words(arguments)
    if not arguments or arguments[0] not in VERBS:
        console.text(f"{USAGE}\nverbs:")
        for name, verb in VERBS.items():
            console.say(f"  {name:<10} {(verb.__doc__ or '').splitlines()[0]}")
        return 0 if arguments[:1] in (["help"], ["--help"], ["-h"]) else 2
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
        signal.signal(number, _interrupt)
    started = time.monotonic()
    try:
        VERBS[arguments[0]](arguments[1:], console)
    except CamReasonerError as error:
        console.error(str(error))
        return 1
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        console.error(f"{error}: {REMEDIES[error.errno]}")
        return 1
    except KeyboardInterrupt:
        again = "; the same command goes on from here" if arguments[0] in GO_ON else ""
        console.error(f"interrupted after {time.monotonic() - started:.0f} s{again}")
        return 130
    return 0


def words(arguments: Sequence[str]) -> list[str]:
    """Each argument `ARGS=...`, in which make hands on what it was given, as its words."""
    groups = (shlex.split(a[5:]) if a.startswith("ARGS=") else [a] for a in arguments)
    return [word for group in groups for word in group]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
