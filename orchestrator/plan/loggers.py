"""Where metrics go besides our own history: TensorBoard, and services that may be out of reach."""

from __future__ import annotations

import netrc
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.places import LOCKS
from orchestrator.plan.stage import Stage
from orchestrator.plan.values import OUT, RunTime
from orchestrator.recipe import Recipe

PROJECT = "camreasoner"
LOCAL_ENVIRON = {
    "tensorboard": ("TENSORBOARD_DIR", "TENSORBOARD_LOGGING_DIR"),
    "trackio": ("TRACKIO_DIR",),
    "wandb": ("WANDB_DIR",),
    "swanlab": ("SWANLAB_LOG_DIR", "SWANLAB_DIR"),
}
"""What each trainer (verl and EasyR1, transformers) calls the folder of a logger's files."""
SERVICES = {
    "wandb": ("WANDB", "https://api.wandb.ai"),
    "swanlab": ("SWANLAB", "https://api.swanlab.cn"),
}
"""Prefix of a service's variables, and where it is unless `<prefix>_BASE_URL` says otherwise."""
KNOCK_SECONDS = 3.0
REQUIREMENTS = {"swanlab": "swanlab<0.8"}
"""Later ones refuse `get_run` before `init`, which transformers 5.6 calls."""
CONFLICTS = {
    ("sft", "trackio"): (
        "LLaMA-Factory 0.9.5 needs gradio 5 and trackio gradio 6: use it where RL alone runs "
        "(stages.rl.start=base), or "
    )
}
"""What can't be installed together, by environment and logger, and what to do about it."""


def environ(recipe: Recipe) -> dict[str, RunTime]:
    """What a training command reads from the environment: everything stays in the stage."""
    used = recipe.loggers
    folders = {v: OUT / name for name in used for v in LOCAL_ENVIRON[name]}
    projects = {f"{SERVICES[name][0]}_PROJECT": PROJECT for name in used if name in SERVICES}
    return {key: RunTime(value) for key, value in {**folders, **projects}.items()}


def run_name(recipe: Recipe, project: str, run: str) -> dict[str, RunTime]:
    """What loggers call the run, by a trainer's keys."""
    return {project: RunTime(PROJECT), run: RunTime(recipe.name)}


def offline(loggers: Sequence[str], given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`<prefix>_MODE=offline` for services without a key, or that can't be reached from here.

    A mode that the user gave stays. A run logged offline is uploaded with `wandb sync` or
    `swanlab sync`.
    """
    found = {SERVICES[name][0]: why for name, why in unavailable(loggers, given)}
    return {f"{prefix}_MODE": "offline" for prefix in found}


def unavailable(
    loggers: Sequence[str], given: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, str]]:
    """Services that a run would log to offline, and why."""
    for name in loggers:
        if name not in SERVICES or f"{SERVICES[name][0]}_MODE" in given:
            continue
        prefix, home = SERVICES[name]
        address = given.get(f"{prefix}_BASE_URL") or given.get(f"{prefix}_API_HOST") or home
        if not given.get(f"{prefix}_API_KEY") and not _logged_in(urlsplit(address).hostname):
            yield name, f"{prefix}_API_KEY is not set"
        elif not reachable(address, given):
            yield name, f"{address} can't be reached"


def missing(loggers: Sequence[str], stages: Iterable[Stage], locks: Path = LOCKS) -> Iterator[str]:
    """Loggers that the environments of `stages`, where those train, lack."""
    for environment in _environments(stages):
        lock = (locks / f"{environment}.txt").read_text()
        for name in loggers:
            if not re.search(rf"^{name}==", lock, re.MULTILINE):
                line = REQUIREMENTS.get(name, name)
                mend = f"add a line `{line}` to envs/{environment}.in and run `make lock`, or "
                mend = CONFLICTS.get((environment.removesuffix("-gpu"), name), mend)
                yield f"loggers: {name} is not in environment {environment}; {mend}leave it out"


def _environments(stages: Iterable[Stage]) -> list[str]:
    """What the trainers run in; our own environment has none."""
    return [*dict.fromkeys(stage.training.environment for stage in stages if stage.training)]


def reachable(address: str, given: Mapping[str, str] = os.environ) -> bool:
    """Whether something listens at a web address, or at the proxy that leads to it."""
    proxy = given.get("HTTPS_PROXY") or given.get("https_proxy")
    parts = urlsplit(proxy or address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), KNOCK_SECONDS).close()
    except OSError:
        return False
    return True


def _logged_in(host: str | None) -> bool:
    """Whether `wandb login` or `swanlab login` left a key for `host`."""
    files = (Path.home() / ".netrc", Path.home() / ".swanlab" / ".netrc")
    return any(file.is_file() and host in netrc.netrc(file).hosts for file in files)
