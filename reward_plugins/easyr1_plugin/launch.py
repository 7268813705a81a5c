"""Run EasyR1 with `ema_grpo`: `python -m reward_plugins.easyr1_plugin.launch <config.json>`.

Starts or joins Ray with the worker hook of `hooks`, then calls EasyR1's own `main`, which starts
no Ray of its own once one is running (verl/trainer/main.py:103).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import ray
from pydantic import BaseModel, ConfigDict

from reward_plugins import sizes, weights
from reward_plugins.easyr1_plugin import checkout, hooks
from reward_plugins.ema_grpo import EmaNormalizer
from reward_plugins.files import write_file
from reward_plugins.logger_modes import logger_modes
from reward_plugins.trial import try_in_easyr1

WORKER_ENV = {
    "TOKENIZERS_PARALLELISM": "true",
    "NCCL_DEBUG": "WARN",
    "VLLM_LOGGING_LEVEL": "WARN",
    "TORCH_NCCL_AVOID_RECORD_STREAMS": "1",
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:False",
    "CUDA_DEVICE_MAX_CONNECTIONS": "1",
    "VLLM_ALLREDUCE_USE_SYMM_MEM": "0",
    "PYTHONUNBUFFERED": "1",
}
"""What EasyR1 gives its workers when it starts Ray itself (verl/trainer/main.py:104-114)."""


class EmaConfig(BaseModel):
    """Arguments of `EmaNormalizer`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beta: float = 0.99
    statistic: Literal["moments", "std"] = "moments"
    min_std: float = 1e-3
    guard: float = 5.0
    key: str = "task"


class KeepConfig(BaseModel):
    """Arguments of `checkpoints.remove_old`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    last: int
    every: int | None


class LaunchConfig(BaseModel):
    """One EasyR1 run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    easyr1: Mapping[str, Any]
    """EasyR1's own configuration, nested as in its YAML files; EasyR1 checks it."""
    ema: EmaConfig = EmaConfig()
    """Settings of `ema_grpo`, for which EasyR1's configuration has no keys."""
    system: str = ""
    """The system's turn of every prompt: EasyR1 builds a user's alone."""
    keep: KeepConfig | None = None
    """Checkpoints that stay; none: those that EasyR1's `save_limit` leaves."""
    address: str | None = None
    """The Ray cluster to join (none: `RAY_ADDRESS`, else a new local one)."""
    local: Mapping[str, Any] = {}
    """Arguments of `ray.init` for a new cluster, e.g. `num_cpus`."""
    env: Mapping[str, str] = {}
    """Further environment variables of all workers."""

    def runtime_env(self, home: Path) -> dict[str, Any]:
        """What every worker of the run needs; `home` is EasyR1's checkout."""
        root = Path(__file__).parents[2]
        env = {
            **WORKER_ENV,
            "PYTHONPATH": os.pathsep.join([str(home), str(root)]),
            checkout.VARIABLE: str(home),
            hooks.SETTINGS: self.ema.model_dump_json(),
            hooks.KEEP: self.keep.model_dump_json() if self.keep else "",
            **logger_modes(),
            **self.env,
        }
        hook = f"{hooks.__name__}.{hooks.install.__name__}"
        return {
            "py_executable": sys.executable,
            "env_vars": env,
            "worker_process_setup_hook": hook,
        }


def main(path: str) -> None:
    """Run what the JSON file at `path` describes; EasyR1's errors propagate.

    Raises `CheckoutError` where EasyR1 is missing, `EmaSettingError` for settings of the EMA,
    `SizeError` for an image that EasyR1 would scale.
    """
    config = LaunchConfig.model_validate_json(Path(path).read_text(encoding="utf-8"))
    home = checkout.require()
    EmaNormalizer(**config.ema.model_dump())
    settings = config.easyr1["worker"]["reward"]["reward_function_kwargs"]
    try_in_easyr1(settings, Path(config.easyr1["data"]["train_files"]))
    policy = config.easyr1["worker"]["actor"]["model"]["model_path"]
    sizes.check(Path(config.easyr1["data"]["train_files"]).with_name("frames.json"), policy)
    weights.check(policy)
    address = config.address or os.environ.get("RAY_ADDRESS")
    where = {"address": address} if address else {"address": "local", **config.local}
    ray.init(**where, runtime_env=config.runtime_env(home))
    try:
        run_easyr1(with_system(config.easyr1, config.system, home))
    finally:
        ray.shutdown()


def with_system(easyr1: Mapping[str, Any], system: str, home: Path) -> Mapping[str, Any]:
    """EasyR1's configuration with a chat template that begins with the turn `system`.

    `data.override_chat_template` is EasyR1's own key: main reads the file that it names, and
    v0.3.2 takes it for the template itself.
    """
    if not system:
        return easyr1
    from transformers import AutoProcessor

    policy = easyr1["worker"]["actor"]["model"]["model_path"]
    turn = f"[{{'role': 'system', 'content': {system!a}}}]"
    template = AutoProcessor.from_pretrained(policy).chat_template
    template = f"{{%- set messages = {turn} + messages -%}}{template}"
    if "open(override_chat_template" in (home / "verl/utils/tokenizer.py").read_text():
        file = Path(easyr1["trainer"]["save_checkpoint_path"]).with_name("chat_template.jinja")
        write_file(file, template)
        template = str(file)
    return {**easyr1, "data": {**easyr1["data"], "override_chat_template": template}}


def run_easyr1(config: Mapping[str, Any]) -> None:
    """Call EasyR1's `main` on `config`, in the Ray session that is up."""
    from verl.trainer import main as easyr1

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.yaml"
        file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        arguments, sys.argv = sys.argv, [easyr1.__name__, f"config={file}"]
        try:
            easyr1.main()
        finally:
            sys.argv = arguments


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(sys.argv[1])
