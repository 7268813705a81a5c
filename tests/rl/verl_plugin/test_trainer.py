"""What the trainer adds to verl's: tasks, names of groups, and a state that survives."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from tensordict import NonTensorStack, TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.tracking import Tracking

from reward_plugins.ema_grpo import EmaStateError
from reward_plugins.metrics_history import MetricsHistory
from reward_plugins.verl_plugin import trainer as module
from reward_plugins.verl_plugin.estimator import ESTIMATOR
from reward_plugins.verl_plugin.trainer import STATE_FILE, EmaTrainer

BATCHES = [[1.0, 0.0], [0.3, 0.9], [0.2, 0.2], [1.0, 0.7]]


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmaTrainer:
    trainer = object.__new__(EmaTrainer)
    trainer.config = OmegaConf.create(
        {
            "trainer": {
                "default_local_dir": str(tmp_path),
                "resume_mode": "auto",
                "keep_last": 2,
                "keep_every": None,
            }
        }
    )
    trainer.uses_ema, trainer.global_steps, trainer.dispatched = True, 0, (0, 0)
    trainer.history = MetricsHistory(tmp_path / "metrics.jsonl")
    trainer.batch, trainer.metrics, trainer.timing_raw = (
        KVBatchMeta(partition_id="train", keys=["k"], tags=[{}]),
        {},
        {},
    )
    trainer.steps_per_epoch, trainer.dumped = 4, 0
    trainer.total_training_steps = 8
    trainer._init_dump_executor()
    monkeypatch.setattr(PPOTrainerSync, "_compute_metrics", lambda *given: None)
    ESTIMATOR.configure({})
    return trainer


def normalise(batches: list[list[float]]) -> list[list[float]]:
    normalizer = ESTIMATOR.normalizer
    return [normalizer.advantages(b, ["g"] * len(b), ["t"] * len(b)).tolist() for b in batches]


def test_state_is_written_before_verl_completes_the_checkpoint(
    trainer: EmaTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(self: Any) -> None:
        assert (tmp_path / "global_step_2" / STATE_FILE).is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", crash)
    trainer.global_steps = 2
    with pytest.raises(KeyboardInterrupt):
        trainer._save_checkpoint()


@pytest.mark.parametrize("resume_mode", ["auto", "resume_path"])
def test_resumed_run_equals_unbroken_one(
    trainer: EmaTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume_mode: str
) -> None:
    unbroken = normalise(BATCHES)
    ESTIMATOR.configure({})
    first = normalise(BATCHES[:2])
    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", lambda self: None)
    monkeypatch.setattr(PPOTrainerSync, "_load_checkpoint", lambda self: None)
    trainer.global_steps = 2
    trainer._save_checkpoint()
    ESTIMATOR.configure({})
    trainer.config.trainer.resume_mode = resume_mode
    trainer.config.trainer.resume_from_path = f"{tmp_path}/global_step_2/"
    trainer._load_checkpoint()
    assert first + normalise(BATCHES[2:]) == unbroken


def test_checkpoint_without_state_is_refused(
    trainer: EmaTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(self: Any) -> None:
        self.global_steps = 7

    monkeypatch.setattr(PPOTrainerSync, "_load_checkpoint", load)
    with pytest.raises(EmaStateError, match="global_step_7"):
        trainer._load_checkpoint()
    trainer.uses_ema = False
    trainer._load_checkpoint()


def test_groups_are_named_by_step_and_order(
    trainer: EmaTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(self: Any) -> TensorDict:
        return TensorDict({"uid": NonTensorStack("x", "y")}, batch_size=2)

    monkeypatch.setattr(PPOTrainerSync, "_fetch_one_gen_batch", fetch)
    names = []
    for step in (4, 4, 5):
        trainer.global_steps = step
        names += trainer._fetch_one_gen_batch()["uid"]
    assert names == [
        f"{s:06d}-{i:06d}" for s, i in [(4, 0), (4, 1), (4, 2), (4, 3), (5, 0), (5, 1)]
    ]


def test_only_real_rows_have_tasks_and_stds_become_metrics(
    trainer: EmaTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"k1": ("a", "binary", 1.0), "k2": ("a", "binary", 0.0), "k3": ("b", "letters", 0.5)}

    def get(keys: list[str], partition_id: str, select_fields: list[str]) -> dict[str, list[Any]]:
        return {
            "uid": [rows[key][0] for key in keys],
            "data_source": [rows[key][1] for key in keys],
            "extra_fields": [{"reward_extra_info": {"format": rows[key][2]}} for key in keys],
        }

    def compute(self: Any, batch: KVBatchMeta, metrics: dict[str, Any]) -> KVBatchMeta:
        normalise([[1.0, 0.0]])
        return batch

    monkeypatch.setattr(module, "tq", SimpleNamespace(kv_batch_get=get))
    monkeypatch.setattr(PPOTrainerSync, "_compute_advantage", compute)
    batch = KVBatchMeta(
        partition_id="train",
        keys=["k1", "k2", "k3", "pad"],
        tags=[{}, {}, {}, {"is_padding": True}],
    )
    metrics: dict[str, Any] = {}
    trainer._compute_advantage(batch, metrics)
    assert ESTIMATOR.tasks == {"a": "binary", "b": "letters"}
    assert metrics["ema_grpo/std/t"] == 0.5
    assert metrics["reward_kept/format"] == 0.5


def test_a_step_is_logged_before_its_checkpoint_as_verl_does_after_it(
    trainer: EmaTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(
        self: Any, batch: KVBatchMeta, metrics: dict[str, Any], timing: Any, step: int, epoch: int
    ) -> None:
        metrics.update({"response_length/mean": 7.0, "training/epoch": epoch})
        metrics.update({f"timing_s/{name}": seconds for name, seconds in timing.items()})

    def dump(self: Any, batch: KVBatchMeta, timing: Any, folder: str) -> None:
        dumps.append(self.global_steps)
        self._dump_futures.append(self._dump_executor.submit(write_slowly, Path(folder)))

    def write_slowly(folder: Path) -> None:
        time.sleep(0.1)
        folder.mkdir(exist_ok=True)
        (folder / "5.jsonl").write_text("{}\n")

    def save(self: Any) -> None:
        assert (tmp_path / "rollouts" / "5.jsonl").is_file()
        assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
        raise KeyboardInterrupt  # killed here

    dumps = list[int]()
    monkeypatch.setattr(PPOTrainerSync, "_compute_metrics", compute)
    monkeypatch.setattr(PPOTrainerSync, "_log_rollout_data", dump)
    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", save)
    trainer.config.trainer.rollout_data_dir = str(tmp_path / "rollouts")
    trainer.global_steps, trainer.uses_ema = 5, False
    trainer.history.log({"reward/format": 0.4}, 4)
    trainer.timing_raw = {"gen": 2.0, "update_actor": 1.0}
    trainer.metrics = {"reward/format": np.float32(0.5), "filtered": {0.0: 3}}
    with pytest.raises(KeyboardInterrupt):
        trainer._save_checkpoint()
    trainer._log_rollout_data(trainer.batch, {}, "")  # verl's own call: they are there already
    assert dumps == [5]
    resumed = Tracking("p", "e", [])
    trainer.logger, trainer.history = resumed, MetricsHistory(tmp_path / "metrics.jsonl")
    trainer.on_train_begin()
    resumed.log({"reward/format": np.float32(0.75)}, 6)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    _, row, last = (json.loads(line)["data"] for line in lines)
    times = {"timing_s/gen": 2.0, "timing_s/update_actor": 1.0, "timing_s/step": 3.0}
    known = {"reward/format": 0.5, "response_length/mean": 7.0, "training/epoch": 1}
    assert row == {**known, **times} and last == {"reward/format": 0.75}


def test_old_checkpoints_go_only_when_the_new_one_is_whole(
    trainer: EmaTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: Any) -> None:
        there.append(sorted(path.name for path in tmp_path.glob("global_step_*")))

    there: list[list[str]] = []
    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", save)
    for step in (8, 9, 10, 11):
        trainer.global_steps = step
        trainer._save_checkpoint()
    names = [f"global_step_{step}" for step in (10, 11, 8, 9)]
    assert there[-1] == [names[0], names[1], names[3]]
    assert sorted(path.name for path in tmp_path.glob("global_step_*")) == names[:2]


def test_accuracy_on_held_out_questions_has_a_plain_name(
    trainer: EmaTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {"val-aux/binary/accuracy/mean@1": 0.75, "val-core/binary/reward/mean@1": 0.8}
    monkeypatch.setattr(PPOTrainerSync, "_validate", lambda self: dict(theirs))
    assert trainer._validate() == {**theirs, "held_out/binary": 0.75}
