"""Run one command so that nothing of it outlives its supervisor.

`python -m orchestrator.supervise <command ...>` is the direct child of the Ray worker that runs a
stage. Linux tells it when that worker dies (PR_SET_PDEATHSIG), and hands it every orphan of the
trainer, also one that forked twice (PR_SET_CHILD_SUBREAPER), so it can end them all.
It imports only psutil: it must start in no time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Final, NoReturn

import psutil

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
GRACE_SECONDS: Final = 10.0


class Stopped(BaseException):
    """A signal asked the supervisor to stop."""


def main() -> NoReturn:
    """Run the command of `sys.argv`, end its process tree, and exit with its exit code."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    code = 128 + signal.SIGTERM
    try:
        if os.getppid() != 1:  # else the worker died before the kernel was told to say so
            code = subprocess.Popen(sys.argv[1:], start_new_session=True).wait()
    except Stopped:
        pass
    finally:
        end_descendants()
    sys.exit(code if code >= 0 else 128 - code)


def end_descendants() -> None:
    """Ask every descendant to stop, wait `GRACE_SECONDS`, then kill what is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = psutil.Process().children(recursive=True)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        psutil.wait_procs(alive, timeout=GRACE_SECONDS)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


if __name__ == "__main__":
    main()
