"""verl's synchronous trainer, as mode `sync_ema`: it knows tasks and keeps the EMA's state."""

import os
import re
from numbers import Real
from pathlib import Path
from typing import Any

import transfer_queue as tq
from omegaconf import DictConfig, open_dict
from tensordict import NonTensorStack, TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from reward_plugins.checkpoints import PREFIX, remove_old
from reward_plugins.ema_grpo import load_state, save_state
from reward_plugins.metrics_history import MetricsHistory
from reward_plugins.verl_plugin import estimator
from reward_plugins.verl_plugin.filtering import earnings, reward_means

HELD_OUT = re.compile(r"val-(?:aux|core)/(.*)/accuracy/mean@1")
"""verl's name of a task's accuracy on the held-out questions."""
STATE_FILE = "ema_grpo.json"
MODE = "sync_ema"
HISTORY = "VERL_FILE_LOGGER_PATH"
"""Where the metrics go: the variable of verl's own file logger (utils/tracking.py:526)."""


@register_trainer(MODE)
class EmaTrainer(PPOTrainerSync):
    """Overrides `step`, five protected methods and a hook of `trainer/ppo/v1/trainer_base.py`."""

    def __init__(self, config: DictConfig) -> None:
        # The base compares the mode's name with "sync" and builds an asynchronous buffer otherwise.
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"
        self.uses_ema = config.algorithm.adv_estimator == estimator.NAME
        self.dispatched = (0, 0)  # step, prompts fetched for it
        self.dumped = 0  # the step whose responses were last written
        estimator.ESTIMATOR.configure(config.algorithm)
        self.history = MetricsHistory(Path(os.environ[HISTORY]))
        super().__init__(config)

    def on_train_begin(self) -> None:
        """Log to our history too: verl's own file logger empties its file when a run resumes."""
        super().on_train_begin()
        self.logger.logger["history"] = self.history
        self.history.total = self.total_training_steps

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> KVBatchMeta:
        """One update; its batch and metrics are at hand when its checkpoint is saved."""
        self.metrics, self.batch = metrics, super().step(metrics, timing_raw)
        return self.batch

    def _fetch_one_gen_batch(self) -> TensorDict:
        """Name groups by step and order, so that a run can be repeated; verl's names are random."""
        batch = super()._fetch_one_gen_batch()
        first = self.dispatched[1] if self.dispatched[0] == self.global_steps else 0
        self.dispatched = (self.global_steps, first + len(batch))
        names = [f"{self.global_steps:06d}-{first + i:06d}" for i in range(len(batch))]
        batch["uid"] = NonTensorStack(*names)
        return batch

    def _validate(self) -> dict[str, Any]:
        """verl's metrics, and the accuracy of each task under a name as plain as the others."""
        metrics = super()._validate()
        found = (HELD_OUT.fullmatch(name) for name in metrics)
        return metrics | {f"held_out/{m[1]}": metrics[m[0]] for m in found if m}

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict[str, Any]) -> KVBatchMeta:
        rows = _real_rows(batch)
        metrics.update(
            reward_means("reward_kept", map(earnings, rows["extra_fields"], rows["data_source"]))
        )
        if not self.uses_ema:
            return super()._compute_advantage(batch, metrics)
        estimator.ESTIMATOR.tasks = dict(zip(rows["uid"], rows["data_source"], strict=True))
        batch = super()._compute_advantage(batch, metrics)
        metrics.update(estimator.ESTIMATOR.normalizer.metrics())
        return batch

    def _save_checkpoint(self) -> None:
        """Write the EMA's state, the step's metrics and its responses first: verl names a
        checkpoint the latest once it is whole, and a run killed then resumes behind this step.
        """
        self._log_step()
        if self.uses_ema:
            save_state(self._checkpoint() / STATE_FILE, estimator.ESTIMATOR.normalizer)
        super()._save_checkpoint()
        # verl itself counts only what this process saved.
        own = self.config.trainer
        remove_old(Path(own.default_local_dir), own.keep_last, own.keep_every)

    def _log_step(self) -> None:
        """What verl itself does only after the checkpoint (trainer_base.py:504)."""
        metrics = {k: v for k, v in self.metrics.items() if isinstance(v, Real)}
        times = {**self.timing_raw, "step": sum(self.timing_raw.values())}  # so far
        epoch = (self.global_steps - 1) // self.steps_per_epoch
        self._compute_metrics(self.batch, metrics, times, self.global_steps, epoch)
        if folder := self.config.trainer.get("rollout_data_dir"):
            self._log_rollout_data(self.batch, times, folder)
            for written in self._dump_futures:
                written.result()
        self.history.log(metrics, self.global_steps)

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict[str, float], to: str) -> None:
        """Write a step's responses once: verl empties a file that is there already."""
        if self.dumped != self.global_steps:
            self.dumped = self.global_steps
            super()._log_rollout_data(batch, timing_raw, to)

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        if self.uses_ema and self.global_steps:
            resumed = self.config.trainer.resume_mode == "resume_path"
            source = self.config.trainer.resume_from_path if resumed else self._checkpoint()
            load_state(Path(source) / STATE_FILE, estimator.ESTIMATOR.normalizer)

    def _checkpoint(self) -> Path:
        return Path(self.config.trainer.default_local_dir) / f"{PREFIX}{self.global_steps}"


def _real_rows(batch: KVBatchMeta) -> Any:
    """What the batch's responses are about, without verl's padding rows."""
    tagged = zip(batch.keys, batch.tags, strict=True)
    return tq.kv_batch_get(
        keys=[key for key, tag in tagged if not tag.get("is_padding", False)],
        partition_id=batch.partition_id,
        select_fields=["uid", "data_source", "extra_fields"],
    )
