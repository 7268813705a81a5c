"""What runs on the node of a stage: a Ray actor that starts commands and writes their logs."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, NamedTuple

from ray.util import get_node_ip_address

from orchestrator.run import provenance, stacks
from orchestrator.secrets import redact

SUPERVISOR = (sys.executable, "-m", "orchestrator.run.supervise")
LOOK_SECONDS = 2.0
"""Between two words to the launcher that a command still logs."""
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
        self._environ: dict[str, str] = {}

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str], directory: str, log: str
    ) -> Iterator[int | Exit]:
        """Yield how many bytes the command logs while it runs, and how it ended at the end.

        The log goes to the file `log` on this node alone. The command is the child of a
        supervisor that ends its whole process tree when this actor dies.
        """
        Path(log).parent.mkdir(exist_ok=True)
        kills = memory_kills()
        lock = Path(log).with_name(".running")
        self._argv = [*SUPERVISOR, str(lock), *argv]
        self._environ = command_environ(environ, Path(argv[0]).parent)
        with Path(log).open("ab", buffering=0) as file, ThreadPoolExecutor(1) as pool:
            self._process = subprocess.Popen(
                self._argv,
                cwd=directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            yield from self._copied(pool, file)
        yield Exit(self._process.wait(), memory_kills() - kills)

    def _copied(self, pool: ThreadPoolExecutor, log: IO[bytes]) -> Iterator[int]:
        """Copy what the running command says; what there was of it since the last look."""
        process, told = self._process, log.tell()
        assert process is not None and process.stdout is not None
        copying = pool.submit(copy_log, process.stdout, log, self._environ)
        exited = os.pidfd_open(process.pid)
        try:
            while not copying.done() and not select.select([exited], [], [], LOOK_SECONDS)[0]:
                if said := log.tell() - told:
                    told += said
                    yield said
            copying.result()
        finally:
            os.close(exited)

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


def copy_log(stream: IO[bytes], log: IO[bytes], environ: Mapping[str, str]) -> None:
    """Copy whole lines as they come; a carriage return also ends one, for progress bars.

    A command may print its environment: secrets are blacked out.
    """
    rest = ""
    decode = getincrementaldecoder("utf-8")("replace").decode
    while chunk := stream.read1(CHUNK):  # type: ignore[attr-defined]
        text = rest + decode(chunk)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        _write(log, redact(text[:end], environ))
        rest = text[end:]
    _write(log, redact(rest, environ))


def _write(log: IO[bytes], text: str) -> None:
    """All of `text`: a file without a buffer takes what there is room for, and says nothing."""
    left = memoryview(text.encode())
    while left:
        left = left[log.write(left) :]
