"""A teacher or judge without a server of its own: `vllm serve`, for as long as a stage needs it.

On machines without a GPU a judge is served by `data_builders.text_server`, called the same way.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from data_builders.chat import EndpointError, answers
from data_builders.trajectory_specs import EndpointSpec

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 1.0
GRACE_SECONDS = 30.0


@contextmanager
def served(spec: EndpointSpec, key: str, program: Sequence[str], output: Path) -> Iterator[None]:
    """While this lasts, `spec.model` answers at `spec.base_url`; nothing to do without `serve`.

    `program` is what serves: vLLM's executable, or the words of another that takes its arguments.

    What the server prints goes to `output`. Raises `EndpointError`, with the recipe's `key`, when
    it ends, or does not answer within `spec.start_seconds`; or when something answers there
    already.
    """
    if spec.serve is None:
        yield
        return
    if answers(spec):
        raise EndpointError(
            f"{key}.base_url: a server answers at {spec.base_url} already; stop it, choose another "
            f"port, or set {key}.serve to null to ask that one"
        )
    with output.open("ab") as file:
        process = subprocess.Popen(command(spec, program), stdout=file, stderr=subprocess.STDOUT)
    try:
        log.info("loading %s to serve it at %s: %s", spec.model, spec.base_url, output)
        _wait(process, spec, key, output)
        yield
    finally:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def command(spec: EndpointSpec, program: Sequence[str]) -> list[str]:
    """The words that start the server (vLLM 0.24's `vllm serve`)."""
    address = urlsplit(spec.base_url)
    where = ["--host", str(address.hostname), "--port", str(address.port or 80)]
    return [*program, "serve", spec.model, *where, *map(str, spec.serve or ())]


def _wait(process: subprocess.Popen[bytes], spec: EndpointSpec, key: str, output: Path) -> None:
    deadline = time.monotonic() + spec.start_seconds
    while not answers(spec):
        if (code := process.poll()) is not None:
            tail = "\n  ".join(output.read_text(errors="replace").splitlines()[-10:])
            raise EndpointError(
                f"{key}.serve: the server ended with code {code} ({output}):\n  {tail}"
            )
        if time.monotonic() > deadline:
            raise EndpointError(
                f"{key}.serve: {spec.model} did not answer within {spec.start_seconds:g} s; see "
                f"{output}, or raise {key}.start_seconds"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)
