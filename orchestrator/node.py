"""What runs on the node of a stage: a Ray actor that starts commands and streams their logs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ray.util import get_node_ip_address

from orchestrator import provenance
from orchestrator.recipe.secrets import redact

SUPERVISOR = (sys.executable, "-m", "orchestrator.supervise")
OWN_TO_RAY_WORKER = ("RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_WORKER_ID", "RAY_NODE_ID")


class StageRunner:
    """Holds a stage's CPUs and GPUs, and runs its commands one after the other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str], directory: str, log: str
    ) -> Iterator[list[str] | int]:
        """Yield lists of log lines while the command runs, and its exit code at the end.

        The log goes to the file `log` on this node too. The command is the child of a
        supervisor that ends its whole process tree when this actor dies.
        """
        Path(log).parent.mkdir(exist_ok=True)
        with Path(log).open("ab", buffering=0) as file:
            self._process = subprocess.Popen(
                [*SUPERVISOR, *argv],
                cwd=directory,
                env=command_environ(environ, Path(argv[0]).parent),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert self._process.stdout is not None
            yield from _lines(self._process.stdout, file)
        yield self._process.wait()

    def machine(self) -> dict[str, Any]:
        """The machine this stage runs on."""
        return provenance.machine()

    def free_address(self) -> tuple[str, int]:
        """This node's address, and a port that nothing listens on."""
        address = get_node_ip_address()
        with socket.create_server((address, 0)) as server:
            return address, int(server.getsockname()[1])

    def stop(self) -> None:
        """Ask the running command's supervisor to end its process tree, and wait for it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


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
    while chunk := stream.read1(65536):  # type: ignore[attr-defined]
        text = rest + decode(chunk)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        whole, rest = redact(text[:end]), text[end:]
        log.write(whole.encode())
        if whole:
            yield whole[:-1].replace("\r", "\n").split("\n")
    if rest:
        log.write(redact(rest).encode())
        yield [redact(rest)]
