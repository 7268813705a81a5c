"""Where a result comes from: the code, the machine, and what was installed."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from orchestrator import envs
from orchestrator.places import CODE as PROJECT
from orchestrator.plan.digests import sha256
from orchestrator.run.gpus import ask_driver
from orchestrator.secrets import redact

CODE = (".py", ".yaml", ".j2", ".txt", ".in", ".toml")
"""New files that git does not know yet are part of the difference when they end like this, ..."""
SOURCES = ("orchestrator/", "data_builders/", "reward_plugins/", "recipes/", "envs/")
"""... and lie here; elsewhere they are the user's, and their hash says enough."""
NEW = ("--no-index", "/dev/null")


def code() -> tuple[dict[str, Any], str]:
    """The project's git commit, and its difference from what ran, as a patch for `git apply`.

    The commit is None where the project is no git checkout. The patch has secrets blacked out, and
    of new files that are not the project's own the SHA-256 alone, after the last difference.
    """
    if not (PROJECT / ".git").exists() or shutil.which("git") is None:
        return {"commit": None, "dirty": False, "diff": None}, ""
    patch = _git("diff", "--binary", "HEAD")
    new = _git("ls-files", "--others", "--exclude-standard").splitlines()
    own = [name for name in new if name.endswith(CODE) and name.startswith(SOURCES)]
    other = [n for n in new if n.endswith(CODE) and n not in own and (PROJECT / n).is_file()]
    patch = redact(patch + "".join(_git("diff", "--binary", *NEW, name) for name in own))
    digest = hashlib.sha256(patch.encode()).hexdigest() if patch else None
    hashes = "".join(f"# not stored: {sha256(PROJECT / name)}  {redact(name)}\n" for name in other)
    commit = _git("rev-parse", "HEAD").strip()
    return {"commit": commit, "dirty": bool(patch), "diff": digest}, patch + hashes


def environment(name: str) -> tuple[dict[str, str], str]:
    """An environment's lock and Python, and what is really installed in it (`uv pip freeze`)."""
    installed = redact(envs.freeze(name))
    digest = hashlib.sha256(installed.encode()).hexdigest()
    return {"lock": envs.lock_hash(name), "python": envs.PYTHON, "freeze": digest}, installed


def machine() -> dict[str, Any]:
    """The machine that asks: its processor, memory, GPUs and Python."""
    return {
        "hostname": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": _gpus(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in info if line.startswith("model name"))
    return next(names, platform.machine())


@cache
def _gpus() -> list[dict[str, str]]:
    keys = ("name", "memory.total", "driver_version")
    return [dict(zip(keys, row, strict=True)) for row in ask_driver(*keys)]


def _git(*arguments: str) -> str:
    command = ["git", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    return done.stdout.decode(errors="replace")
