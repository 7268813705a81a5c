"""What EasyR1 has no registry for, put in when a process imports `verl.trainer.ray_trainer`.

Private to EasyR1, and all in this file and in `rates` (lines of b44b311, trainer/ray_trainer.py):
- `AdvantageEstimator`, an enum that the trainer checks names against (208);
- `compute_advantage`, which drops the sample's task (137);
- `compute_data_metrics`, whose result is logged every step (683);
- `RayPPOTrainer._save_checkpoint` (308), `._load_checkpoint` (342) and `.fit` (561), which
  validates at the end even where validation is off;
- `verl.utils.logger.logger.LOGGERS` (156), for a metrics file that survives a resume.
The estimator itself goes through EasyR1's registry. No file is changed: Ray runs `install` at the
start of each worker (`worker_process_setup_hook`), and it costs nothing in workers that never
import the trainer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from reward_plugins.easyr1_plugin import rates
from reward_plugins.errors import CamReasonerError
from reward_plugins.imports import after_import
from reward_plugins.metrics_history import MetricsHistory

NAME = "ema_grpo"
STATE_FILE = "ema_grpo.json"
SETTINGS = "CAMREASONER_EMA"
"""Environment variable with the arguments of `EmaNormalizer` as JSON; unset means its defaults."""
KEEP = "CAMREASONER_KEEP"
"""The same with those of `remove_old`; empty or unset: EasyR1's own `save_limit`."""

TRAINER = "verl.trainer.ray_trainer"


class MissingTaskError(CamReasonerError, ValueError):
    """A sample that does not say which task it belongs to."""


def install() -> None:
    """Have `extend` run on EasyR1's trainer module, now or when it is first imported, and `rates`
    on those that read videos and roll out."""
    after_import(TRAINER, extend)
    after_import(rates.DATASET, rates.remember)
    after_import(rates.ROLLOUT, rates.name_again)


def extend(trainer: ModuleType) -> None:
    """Teach EasyR1's trainer module `ema_grpo`; doing it twice changes nothing."""
    if NAME in list(trainer.AdvantageEstimator):
        return
    from verl.trainer.core_algos import register_adv_estimator
    from verl.utils.logger.logger import LOGGERS

    estimator, module, make_enum = Estimator(), cast(Any, trainer), cast(Any, Enum)
    LOGGERS["file"] = estimator.start_history
    register_adv_estimator(NAME)(estimator.advantages)
    members = {member.name: member.value for member in module.AdvantageEstimator}
    members["EMA_GRPO"] = NAME
    module.AdvantageEstimator = make_enum("AdvantageEstimator", members, type=str)
    module.compute_advantage = estimator.with_tasks(module.compute_advantage)
    module.compute_data_metrics = estimator.with_metrics(module.compute_data_metrics)
    ppo = module.RayPPOTrainer
    ppo._save_checkpoint = estimator.with_state_saved(ppo._save_checkpoint)
    ppo._load_checkpoint = estimator.with_state_loaded(ppo._load_checkpoint)
    ppo.fit = without_unasked_validation(ppo.fit)


class History(MetricsHistory):
    """One that lets a checkpoint wait for its step's metrics, which EasyR1 logs after it (689): a
    run killed in between would resume behind a step without any.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.logged: int | None = None
        """The last step that this process logged."""
        self.waiting: list[Callable[[], None]] = []

    def once_logged(self, step: int, action: Callable[[], None]) -> None:
        """Call `action` when `step` is on the disk: now, or at the end of the next `log`."""
        if self.logged == step:
            action()
        else:
            self.waiting.append(action)

    def log(self, data: Mapping[str, Any], step: int) -> None:
        super().log(data, step)
        self.logged = step
        while self.waiting:
            self.waiting.pop()()


class Estimator:
    """The EMA of the one process that computes advantages, and what surrounds it there."""

    def __init__(self) -> None:
        from reward_plugins.ema_grpo import EmaNormalizer

        self.normalizer = EmaNormalizer(**json.loads(os.environ.get(SETTINGS, "{}")))
        self.tasks: list[str] = []
        self.history: History | None = None

    def start_history(self, config: Mapping[str, Any]) -> History:
        """EasyR1's `file` logger, as `metrics.jsonl` beside the checkpoints.

        The stock one empties its file whenever it starts (verl/utils/logger/logger.py:72), and
        v0.3.2 has none.
        """
        checkpoints = Path(config["trainer"]["save_checkpoint_path"])
        self.history = History(checkpoints.parent / "metrics.jsonl")
        return self.history

    def advantages(
        self, token_level_rewards: Any, response_mask: Any, index: Sequence[str], **_: Any
    ) -> tuple[Any, Any]:
        """Advantages and returns, both (B, T), in EasyR1's signature."""
        from reward_plugins.ema_grpo import token_advantages

        advantages = token_advantages(
            self.normalizer, token_level_rewards, response_mask, index, self.tasks
        )
        return advantages, advantages

    def with_tasks(self, compute_advantage: Callable[..., Any]) -> Callable[..., Any]:
        """`compute_advantage` that first notes each row's task."""

        def compute(data: Any, adv_estimator: str, *args: Any, **kwargs: Any) -> Any:
            if adv_estimator == NAME:
                self.tasks = tasks_of(data.non_tensor_batch)
            return compute_advantage(data, adv_estimator, *args, **kwargs)

        return compute

    def with_metrics(self, compute_data_metrics: Callable[..., Any]) -> Callable[..., Any]:
        """`compute_data_metrics` with the std of each task, once the estimator is in use."""

        def compute(*args: Any, **kwargs: Any) -> dict[str, Any]:
            own = self.normalizer.metrics() if self.tasks else {}
            return {**compute_data_metrics(*args, **kwargs), **own}

        return compute

    def with_state_saved(self, save: Callable[[Any], None]) -> Callable[[Any], None]:
        """`_save_checkpoint` with the EMA's state written first, once the step's metrics are.

        EasyR1 names a checkpoint the latest only when all of it is there, so a crash before that
        resumes from the one before, whose state stands beside it untouched.
        """

        def save_checkpoint(trainer: Any) -> None:
            from reward_plugins.checkpoints import remove_old
            from reward_plugins.ema_grpo import save_state

            if trainer.config.algorithm.adv_estimator == NAME:
                save_state(_checkpoint(trainer) / STATE_FILE, self.normalizer)
            save(trainer)
            if keep := os.environ.get(KEEP):
                remove_old(_checkpoint(trainer).parent, **json.loads(keep))

        def save_once_logged(trainer: Any) -> None:
            if self.history is None:
                save_checkpoint(trainer)
            else:
                self.history.once_logged(trainer.global_step, lambda: save_checkpoint(trainer))

        return save_once_logged

    def with_state_loaded(self, load: Callable[[Any], None]) -> Callable[[Any], None]:
        """`_load_checkpoint` that goes on from the loaded checkpoint's state."""

        def load_checkpoint(trainer: Any) -> None:
            from reward_plugins.ema_grpo import load_state

            if self.history is not None:
                self.history.total = trainer.training_steps
            load(trainer)  # leaves global_step at 0 where there is no checkpoint
            if trainer.config.algorithm.adv_estimator == NAME and trainer.global_step:
                given = trainer.config.trainer.load_checkpoint_path
                source = Path(given) if given else _checkpoint(trainer)
                load_state(source / STATE_FILE, self.normalizer)

        return load_checkpoint


def without_unasked_validation(fit: Callable[[Any], None]) -> Callable[[Any], None]:
    """`fit` that does not validate when `val_freq` is below 1 and `val_before_train` is off.

    Stock EasyR1 then still answers every validation question once, after the last step (691).
    """

    def run(trainer: Any) -> None:
        settings = trainer.config.trainer
        if settings.val_freq <= 0 and not settings.val_before_train:
            trainer.val_reward_fn = None
        fit(trainer)

    return run


def tasks_of(columns: Mapping[str, Iterable[Any]]) -> list[str]:
    """Each row's task: its `problem_type`, or else the `task` in its JSON `ground_truth`.

    Raises `MissingTaskError` for a row with neither.
    """
    if "problem_type" in columns:
        return [str(task) for task in columns["problem_type"]]
    return [_task(truth) for truth in columns.get("ground_truth", [])]


def _task(truth: Any) -> str:
    try:
        return str(json.loads(truth)["task"])
    except (ValueError, TypeError, KeyError) as error:
        raise MissingTaskError(
            f"ema_grpo needs each sample's task: ground truth {truth!r} is no JSON object with a "
            f"'task', and there is no problem_type column; export the data again"
        ) from error


def _checkpoint(trainer: Any) -> Path:
    return Path(trainer.config.trainer.save_checkpoint_path) / f"global_step_{trainer.global_step}"
