"""The hooks on the real trainer module: they fit, they reach our estimator, they keep its state."""

from __future__ import annotations

import inspect
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

if not os.environ.get("EASYR1_HOME"):
    pytest.skip("EASYR1_HOME names no EasyR1 checkout", allow_module_level=True)

import numpy as np
import tiny
import torch
from verl.protocol import DataProto
from verl.trainer import core_algos, ray_trainer
from verl.utils.logger import Tracker, logger

from reward_plugins.easyr1_plugin import hooks
from reward_plugins.ema_grpo import EmaNormalizer, EmaStateError

FUNCTIONS = ("AdvantageEstimator", "compute_advantage", "compute_data_metrics")
METHODS = ("_save_checkpoint", "_load_checkpoint", "fit")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that extends EasyR1's trainer as a new process would; all is undone after."""

    def extend(settings: str = "{}") -> Any:
        monkeypatch.undo()
        for name in FUNCTIONS:
            monkeypatch.setattr(ray_trainer, name, getattr(ray_trainer, name))
        for name in METHODS:
            method = getattr(ray_trainer.RayPPOTrainer, name)
            monkeypatch.setattr(ray_trainer.RayPPOTrainer, name, method)
        monkeypatch.setattr(core_algos, "ADV_ESTIMATOR_MAP", dict(core_algos.ADV_ESTIMATOR_MAP))
        monkeypatch.setattr(logger, "LOGGERS", dict(logger.LOGGERS))
        monkeypatch.setenv(hooks.SETTINGS, settings)
        hooks.extend(ray_trainer)
        return ray_trainer

    yield extend
    monkeypatch.undo()


def make_batch(seed: int, tasks: tuple[str, ...] = ("binary", "choice"), size: int = 4) -> Any:
    """Two groups a task, random rewards on the last token, as `compute_advantage` gets them."""
    rng = random.Random(seed)
    groups = [(f"{task}{i}", task) for task in tasks for i in range(2) for _ in range(size)]
    scores = torch.tensor([rng.choice([0.0, 0.1, 1.0]) for _ in groups])
    rewards = torch.zeros(len(groups), 3)
    rewards[:, 2] = scores
    return DataProto.from_single_dict(
        {
            "token_level_rewards": rewards,
            "token_level_scores": rewards.clone(),
            "response_mask": torch.ones_like(rewards),
            "responses": torch.ones(len(groups), 3, dtype=torch.long),
            "attention_mask": torch.ones(len(groups), 5, dtype=torch.long),
            "uid": np.array([uid for uid, _ in groups], dtype=object),
            "ground_truth": np.array([tiny.truth(task) for _, task in groups], dtype=object),
        }
    )


def advantages(module: Any, seeds: range) -> list[list[float]]:
    done = [module.compute_advantage(make_batch(seed), "ema_grpo") for seed in seeds]
    return [data.batch["advantages"][:, 0].tolist() for data in done]


class Workers:
    """Stands for EasyR1's group of FSDP workers, which save and load what is not ours."""

    crash = False

    def save_checkpoint(self, path: str, save_model_only: bool) -> None:
        Path(path).mkdir(parents=True)
        if self.crash:
            raise KeyboardInterrupt("killed while saving")

    def load_checkpoint(self, path: str) -> None:
        assert Path(path).is_dir()


def make_trainer(
    checkpoints: Path, estimator: str = "ema_grpo", step: int = 0, **given: Any
) -> Any:
    """EasyR1's trainer as far as its own saving and loading need it."""
    trainer = object.__new__(ray_trainer.RayPPOTrainer)
    keys = {"load_checkpoint_path": None, "find_last_checkpoint": True, **given}
    settings = {
        "save_checkpoint_path": str(checkpoints),
        "save_limit": -1,
        "save_model_only": False,
    }
    trainer.config = SimpleNamespace(
        algorithm=SimpleNamespace(adv_estimator=estimator),
        trainer=SimpleNamespace(**settings, **keys),
    )
    trainer.actor_rollout_ref_wg, trainer.use_critic, trainer.global_step = Workers(), False, step
    trainer.val_reward_score, trainer.best_val_reward_score = 0.0, -1.0
    trainer.train_dataloader = SimpleNamespace(state_dict=dict, load_state_dict=lambda state: None)
    return trainer


def test_the_hooked_names_are_still_as_expected() -> None:
    assert list(inspect.signature(ray_trainer.compute_advantage).parameters)[:2] == [
        "data",
        "adv_estimator",
    ]
    fit = inspect.getsource(ray_trainer.RayPPOTrainer.fit)
    for call in ("compute_advantage(", "compute_data_metrics(", "_save_checkpoint()"):
        assert call in fit
    for name in METHODS:
        assert list(inspect.signature(getattr(ray_trainer.RayPPOTrainer, name)).parameters) == [
            "self"
        ]
    assert "not in list(AdvantageEstimator)" in inspect.getsource(
        ray_trainer.RayPPOTrainer.__init__
    )


def test_the_estimator_is_known_and_none_is_forgotten(fresh: Any) -> None:
    stock = list(ray_trainer.AdvantageEstimator)
    assert "ema_grpo" not in stock
    module = fresh()
    assert list(module.AdvantageEstimator) == [*stock, "ema_grpo"]
    assert module.AdvantageEstimator.GRPO == "grpo"


def test_compute_advantage_gives_our_advantages_by_task(fresh: Any) -> None:
    module, data = fresh('{"beta": 0.9, "statistic": "std"}'), make_batch(3)
    own = EmaNormalizer(0.9, "std").advantages(
        data.batch["token_level_rewards"].sum(-1),
        data.non_tensor_batch["uid"],
        ["binary"] * 8 + ["choice"] * 8,
    )
    out = module.compute_advantage(data, adv_estimator="ema_grpo", gamma=1.0, lam=1.0)
    assert torch.equal(out.batch["advantages"], own[:, None].expand(-1, 3))
    metrics = module.compute_data_metrics(batch=out, use_critic=False)
    assert {"ema_grpo/std/binary", "ema_grpo/std/choice", "critic/score/mean"} <= set(metrics)


@pytest.mark.parametrize(
    ("freq", "before", "validates"), [(-1, False, False), (5, False, True), (-1, True, True)]
)
def test_validation_only_where_it_is_asked_for(freq: int, before: bool, validates: bool) -> None:
    settings = SimpleNamespace(val_freq=freq, val_before_train=before)
    trainer = SimpleNamespace(config=SimpleNamespace(trainer=settings), val_reward_fn=object())
    seen: list[bool] = []
    hooks.without_unasked_validation(lambda t: seen.append(t.val_reward_fn is not None))(trainer)
    assert seen == [validates]


def test_the_metrics_file_survives_a_resume(fresh: Any, tmp_path: Path) -> None:
    fresh()
    config = {"trainer": {"save_checkpoint_path": str(tmp_path / "checkpoints")}}
    for step in (1, 2):  # a start and a resume
        Tracker(["file"], config).log({"reward/overall": 0.5, "ema_grpo/std/binary": 0.3}, step)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    metrics = {"reward/overall": 0.5, "ema_grpo/std/binary": 0.3}
    assert [json.loads(line) for line in lines] == [{"step": n, "data": metrics} for n in (1, 2)]


def test_stock_grpo_is_untouched(fresh: Any) -> None:
    stock = ray_trainer.compute_advantage(make_batch(3), "grpo").batch["advantages"]
    module = fresh()
    data = module.compute_advantage(make_batch(3), "grpo")
    assert torch.equal(data.batch["advantages"], stock)
    assert not any(key.startswith("ema_grpo") for key in module.compute_data_metrics(batch=data))


@pytest.mark.parametrize("k", [1, 3])
def test_a_resumed_run_repeats_every_bit(fresh: Any, tmp_path: Path, k: int) -> None:
    whole = advantages(fresh(), range(6))
    first = advantages(fresh(), range(k))
    make_trainer(tmp_path, step=k)._save_checkpoint()
    module, trainer = fresh(), make_trainer(tmp_path)
    trainer._load_checkpoint()
    assert trainer.global_step == k
    assert first + advantages(module, range(k, 6)) == whole


def test_a_crash_while_saving_resumes_from_the_checkpoint_before(
    fresh: Any, tmp_path: Path
) -> None:
    module, trainer = fresh(), make_trainer(tmp_path, step=2)
    expected = advantages(module, range(2))
    trainer._save_checkpoint()
    expected += advantages(module, range(2, 4))
    trainer.global_step, trainer.actor_rollout_ref_wg.crash = 4, True
    with pytest.raises(KeyboardInterrupt):
        trainer._save_checkpoint()
    assert (tmp_path / "global_step_4" / hooks.STATE_FILE).is_file()
    module, resumed = fresh(), make_trainer(tmp_path)
    resumed._load_checkpoint()
    assert resumed.global_step == 2
    assert advantages(module, range(2, 4)) == expected[2:]


def test_old_checkpoints_go_but_for_every_so_manieth(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh()
    monkeypatch.setenv(hooks.KEEP, '{"last": 1, "every": 2}')
    for step in range(1, 6):
        make_trainer(tmp_path, step=step)._save_checkpoint()
    left = {path.name for path in tmp_path.glob("global_step_*")}
    assert left == {"global_step_2", "global_step_4", "global_step_5"}


def test_a_named_checkpoint_brings_its_own_state(fresh: Any, tmp_path: Path) -> None:
    module, trainer = fresh(), make_trainer(tmp_path / "old", step=1)
    whole = advantages(module, range(1))
    trainer._save_checkpoint()
    whole += advantages(module, range(1, 3))
    module, named = fresh(), str(tmp_path / "old/global_step_1")
    make_trainer(tmp_path / "new", load_checkpoint_path=named)._load_checkpoint()
    assert advantages(module, range(1, 3)) == whole[1:]


def test_a_checkpoint_without_state_is_an_error(fresh: Any, tmp_path: Path) -> None:
    fresh()
    make_trainer(tmp_path, "grpo", step=1)._save_checkpoint()
    assert not (tmp_path / "global_step_1" / hooks.STATE_FILE).exists()
    make_trainer(tmp_path, "grpo")._load_checkpoint()
    with pytest.raises(EmaStateError, match="global_step_1"):
        make_trainer(tmp_path)._load_checkpoint()


def test_a_first_start_loads_nothing(fresh: Any, tmp_path: Path) -> None:
    module = fresh()
    make_trainer(tmp_path)._load_checkpoint()
    assert advantages(module, range(2)) == advantages(fresh(), range(2))
