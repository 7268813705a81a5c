"""Real Ray workers: the hook reaches a fresh actor, and the real trainer trains and resumes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("EASYR1_HOME"):
    pytest.skip("EASYR1_HOME names no EasyR1 checkout", allow_module_level=True)

import length_reward
import torch
from transformers import AutoModelForImageTextToText

from reward_plugins.easyr1_plugin.hooks import STATE_FILE
from reward_plugins.merge.easyr1 import actors
from reward_plugins.merge.verl import MergeConfig, merge_all

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
RAY = {"num_cpus": 4, "include_dashboard": False, "object_store_memory": 200 << 20}
THREADS = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "all",
}


def python(*arguments: str) -> str:
    """Run this environment's Python in the repository; its output, asserting that it ends well."""
    path = os.pathsep.join([str(Path.cwd()), os.environ["EASYR1_HOME"]])
    env = {**os.environ, **THREADS, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=540,
    )
    lines = [line for line in run.stdout.splitlines() if "it/s" not in line]  # progress bars
    assert run.returncode == 0, "\n".join(lines[-100:])
    return run.stdout


def test_a_fresh_ray_actor_knows_the_estimator() -> None:
    out = python(str(HERE / "probe.py"), json.dumps(RAY))
    (line,) = [line for line in out.splitlines() if line.startswith("PROBE")]
    loaded, advantages = json.loads(line.removeprefix("PROBE "))
    assert loaded == []  # installing the hook imported nothing heavy
    assert advantages == pytest.approx([0.05, -0.05], rel=1e-5)


def load(checkpoint: str) -> list[torch.Tensor]:
    """The parameters of a Hugging Face checkpoint."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
    return list(model.parameters())


def launch_config(config: dict[str, Any], steps: int, path: Path) -> str:
    """The file that `run.py` reads: `steps` steps, and an EMA that keeps what it began with."""
    config["trainer"]["max_steps"] = steps
    config["worker"]["reward"] = {"reward_function": f"{length_reward.__file__}:compute_scores"}
    launch = {
        "easyr1": config,
        "ema": {"beta": 0.999999},
        "system": "Be brief.",
        "keep": {"last": 2, "every": None},
        "env": {**THREADS, "HF_HUB_OFFLINE": "1"},
        "local": {**RAY, "num_gpus": 1},
    }
    path.write_text(json.dumps(launch))
    return str(path)


def test_the_trainer_trains_and_resumes(config: dict[str, Any], tmp_path: Path) -> None:
    checkpoints = Path(config["trainer"]["save_checkpoint_path"])
    run = str(HERE / "run.py")

    def state(step: int) -> dict[str, list[float]]:
        file = checkpoints / f"global_step_{step}" / STATE_FILE
        return json.loads(file.read_text())["tasks"]

    python(run, launch_config(config, 2, tmp_path / "first.json"))
    first = state(1)
    assert set(first) <= {"binary", "choice"}
    assert all(square > mean * mean for mean, square in first.values())  # it had rewards to measure
    out = python(run, launch_config(config, 3, tmp_path / "second.json"))
    assert f"Load from checkpoint: {checkpoints}/global_step_2" in out
    for task, values in state(2).items():  # not begun anew: the EMA has hardly moved
        assert state(3)[task] == pytest.approx(values, rel=1e-4)
    assert state(3) != state(2)
    lines = (checkpoints.parent / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["step"], row["total"]) for row in rows] == [(1, 2), (2, 2), (3, 3)]
    kept = {path.name for path in checkpoints.glob("global_step_*")}
    assert kept == {"global_step_2", "global_step_3"}
    assert "'content': 'Be brief.'" in out  # in the template that EasyR1 prints
    prefix = "ema_grpo/std/"
    for row in rows:
        stds = {key.removeprefix(prefix) for key in row["data"] if key.startswith(prefix)}
        assert stds == set(state(row["step"]))
    target = tmp_path / "merged"
    count = merge_all(MergeConfig(source=checkpoints, target=target), actors(checkpoints))
    assert {path.name for path in target.glob("step-*")} == {"step-2", "step-3"}
    trained, start = (
        load(str(target / "last")),
        load(config["worker"]["actor"]["model"]["model_path"]),
    )
    assert count == sum(parameter.numel() for parameter in start)
    assert any(not torch.equal(a, b) for a, b in zip(trained, start, strict=True))
