"""The worker hook on a stand-in for EasyR1's trainer module; the real one is in tests/easyr1."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reward_plugins.easyr1_plugin.hooks import Estimator, MissingTaskError, tasks_of

TRAINER = """
from enum import Enum
class AdvantageEstimator(str, Enum):
    GRPO = "grpo"
def compute_advantage(data, adv_estimator, gamma=1.0, lam=1.0): ...
def compute_data_metrics(batch, use_critic=False): return {"a": 1.0}
class RayPPOTrainer:
    def _save_checkpoint(self): ...
    def _load_checkpoint(self): ...
    def fit(self): ...
"""
REGISTRY = """
ADV_ESTIMATOR_MAP = {}
def register_adv_estimator(name):
    return lambda f: ADV_ESTIMATOR_MAP.setdefault(name, f)
"""
LOGGERS = "LOGGERS = {}\n"
UTILS = "def unflatten_dict(data): return data\n"
SCRIPT = """
import sys
from reward_plugins.easyr1_plugin import hooks
hooks.install(); hooks.install()
assert not {"verl", "torch"} & set(sys.modules), "installing must be cheap"
from verl.trainer import ray_trainer as trainer, core_algos
assert "ema_grpo" in list(trainer.AdvantageEstimator) and "grpo" in list(trainer.AdvantageEstimator)
save = trainer.RayPPOTrainer._save_checkpoint
hooks.install(); hooks.extend(trainer)
assert trainer.RayPPOTrainer._save_checkpoint is save, "extending twice must change nothing"
((name, estimate),) = core_algos.ADV_ESTIMATOR_MAP.items()
print(name, estimate.__self__.normalizer.beta)
"""


def test_the_trainer_is_extended_when_it_is_imported(tmp_path: Path) -> None:
    files = {
        "__init__.py": "",
        "trainer/__init__.py": "",
        "trainer/ray_trainer.py": TRAINER,
        "trainer/core_algos.py": REGISTRY,
        "utils/py_functional.py": UTILS,
        "utils/logger/logger.py": LOGGERS,
    }
    for name, text in files.items():
        file = tmp_path / "verl" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    env = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "CAMREASONER_EMA": '{"beta": 0.5}'}
    run = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True)
    assert (run.returncode, run.stdout.split()) == (0, ["ema_grpo", "0.5"]), run.stderr


def test_a_checkpoint_waits_for_the_metrics_of_its_step(tmp_path: Path) -> None:
    def save(trainer: Any) -> None:
        rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
        saved.append((trainer.global_step, len(rows)))

    saved: list[tuple[int, int]] = []
    estimator = Estimator()
    save_checkpoint = estimator.with_state_saved(save)
    algorithm = SimpleNamespace(adv_estimator="grpo")
    trainer = SimpleNamespace(global_step=1, config=SimpleNamespace(algorithm=algorithm))
    config = {"trainer": {"save_checkpoint_path": str(tmp_path / "checkpoints")}}
    history = estimator.start_history(config)
    history.log({"loss": 3.0}, 1)
    trainer.global_step = 2
    save_checkpoint(trainer)
    assert saved == []
    history.log({"loss": 2.0}, 2)
    assert saved == [(2, 2)]
    trainer.global_step = 3
    history.log({"loss": 1.0}, 3)
    save_checkpoint(trainer)  # after the loop, as EasyR1 does for a last step between two saves
    assert saved == [(2, 2), (3, 3)]


def test_tasks_come_from_a_column_or_from_the_ground_truth() -> None:
    truths = [json.dumps({"answer": "A", "task": task}) for task in ("binary", "choice")]
    assert tasks_of({"ground_truth": truths}) == ["binary", "choice"]
    assert tasks_of({"ground_truth": truths, "problem_type": ["x", "y"]}) == ["x", "y"]


@pytest.mark.parametrize("truth", ["A", '{"answer": "A"}', "[]", "3", None])
def test_a_sample_without_a_task_is_an_error(truth: str | None) -> None:
    with pytest.raises(MissingTaskError, match="export the data again"):
        tasks_of({"ground_truth": [truth]})
