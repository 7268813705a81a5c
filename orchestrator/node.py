"""What runs on the node of a stage: a Ray actor that starts commands and streams their logs."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from ray.util import get_node_ip_address

from orchestrator import provenance, stacks
from orchestrator.recipe.secrets import redact

SUPERVISOR = (sys.executable, "-m", "orchestrator.supervise")
GATHER_SECONDS = 0.5
"""Lines travel through Ray together: one by one they would cost a few percent of a core."""
CHUNK = 65_536
OWN_TO_RAY_WORKER = ("RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_WORKER_ID", "RAY_NODE_ID")


class Exit(NamedTuple):
    """How a command ended."""

    code: int
    """128 and the number of the signal that ended it, or its own exit code."""
    memory_kills: int
    """Processes that the kernel killed on this node for memory while it ran."""


class StageRunner:
    """Holds a stage's CPUs and GPUs, and runs its commands one after the other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._argv: list[str] = []

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str], directory: str, log: str
    ) -> Iterator[list[str] | Exit]:
        """Yield lists of log lines while the command runs, and how it ended at the end.

        The log goes to the file `log` on this node too. The command is the child of a
        supervisor that ends its whole process tree when this actor dies.
        """
        Path(log).parent.mkdir(exist_ok=True)
        kills = memory_kills()
        with Path(log).open("ab", buffering=0) as file:
            lock = Path(log).with_name(".running")
            self._argv = [*SUPERVISOR, str(lock), *argv]
            self._process = subprocess.Popen(
                self._argv,
                cwd=directory,
                env=command_environ(environ, Path(argv[0]).parent),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert self._process.stdout is not None
            exited = os.pidfd_open(self._process.pid)
            try:
                for lines in _lines(self._process.stdout, file):
                    yield lines
                    if sum(map(len, lines)) < CHUNK // 2:  # or the pipe may be full
                        select.select([exited], [], [], GATHER_SECONDS)
            finally:
                os.close(exited)
        yield Exit(self._process.wait(), memory_kills() - kills)

    def machine(self) -> dict[str, Any]:
        """The machine this stage runs on."""
        return provenance.machine()

    def free_address(self) -> tuple[str, int]:
        """This node's address, and a port that nothing listens on."""
        address = get_node_ip_address()
        with socket.create_server((address, 0)) as server:
            return address, int(server.getsockname()[1])

    def dump_stacks(self, path: str) -> None:
        """Write to `path` what every Python process of the command, and of Ray here, is at."""
        stacks.dump(Path(path), stacks.supervised(self._argv) + stacks.ray_workers())

    def stop(self) -> None:
        """Ask the running command's supervisor to end its process tree, and wait for it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def memory_kills() -> int:
    """Processes that the kernel has killed for memory since this machine started."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0


def command_environ(extra: Mapping[str, str], programs: Path) -> dict[str, str]:
    """This node's environment without what belongs to the Ray worker, and with `extra`.

    `programs` comes first on the path: LLaMA-Factory calls `torchrun`, and vLLM `ninja`, by name.
    Ray hides GPUs from an actor that reserved none by an empty `CUDA_VISIBLE_DEVICES`; a driver
    that joins the cluster must not inherit that, or Ray refuses it logical GPUs.
    """
    environ = {k: v for k, v in os.environ.items() if k not in OWN_TO_RAY_WORKER}
    if not environ.get("CUDA_VISIBLE_DEVICES"):
        environ.pop("CUDA_VISIBLE_DEVICES", None)
    path = os.pathsep.join([str(programs), environ.get("PATH", os.defpath)])
    return {**environ, "PATH": path, "PYTHONUNBUFFERED": "1", **extra}


def _lines(stream: IO[bytes], log: IO[bytes]) -> Iterator[list[str]]:
    """Whole lines as they come; a carriage return also ends one, for progress bars.

    A command may print its environment: secrets are blacked out, here and in the log.
    """
    rest = ""
    decode = getincrementaldecoder("utf-8")("replace").decode
    while chunk := stream.read1(CHUNK):  # type: ignore[attr-defined]
        text = rest + decode(chunk)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        whole, rest = redact(text[:end]), text[end:]
        log.write(whole.encode())
        if whole:
            yield whole[:-1].replace("\r", "\n").split("\n")
    if rest:
        log.write(redact(rest).encode())
        yield [redact(rest)]
