"""Run one command so that nothing of it outlives the Ray worker that asked for it.

`python -m orchestrator.run.supervise <lock> <command ...>` is two processes. The *stub* is the
worker's direct child; Linux tells it when the worker dies (PR_SET_PDEATHSIG). A dying Ray kills the
stub outright, so the work is done by a *keeper*, forked away twice, which notices the stub's end by
a pipe, and waits for the keeper before it by the file `lock`. The keeper is handed every orphan of
the command, also one that forked twice (PR_SET_CHILD_SUBREAPER), and ends them all. It imports only
psutil: it must start in no time.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
from types import FrameType
from typing import Final, NoReturn

import psutil

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
GRACE_SECONDS: Final = 10.0
STOPPED: Final = 128 + signal.SIGTERM
LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Run the command of `sys.argv`, end its process tree, and exit with its exit code."""
    worker = os.getppid()
    alive_read, alive_write = os.pipe()
    code_read, code_write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(alive_write)
            keep(sys.argv[1], sys.argv[2:], alive_read, code_write)
        os._exit(0)
    os.wait()
    os.close(code_write)
    os.close(alive_read)
    wait(worker, alive_write, code_read)


def wait(worker: int, alive: int, code: int) -> NoReturn:
    """The stub: exit with the keeper's code; told to stop, let the keeper finish first."""

    def stop(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            os.close(alive)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    end_with_parent()
    if os.getppid() != worker:  # it died before Linux was asked to tell
        os.close(alive)
    answer = os.read(code, 16)
    sys.exit(int(answer or STOPPED))


def end_with_parent() -> None:
    """For a child between fork and exec: Linux ends it when the thread that started it is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def keep(lock: str, command: list[str], alive: int, code: int) -> NoReturn:
    """The keeper: run the command until it ends or the stub is gone, then end what is left."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Freed by the kernel when this process is gone. A killed run's command may still be ending.
    fcntl.flock(os.open(lock, os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=_default_signals)
    ended = os.pidfd_open(process.pid)
    ready, _, _ = select.select([ended, alive], [], [])
    result = process.wait() if ended in ready else STOPPED
    end_descendants()
    with contextlib.suppress(BrokenPipeError):
        os.write(code, str(result if result >= 0 else 128 - result).encode())
    os._exit(0)


def end_descendants() -> None:
    """Ask every descendant to stop, wait `GRACE_SECONDS`, then kill what is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = psutil.Process().children(recursive=True)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        psutil.wait_procs(alive, timeout=GRACE_SECONDS)


def _default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()
