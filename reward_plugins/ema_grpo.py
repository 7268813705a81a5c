"""EMA-GRPO: group-centred advantages over a running standard deviation of each task's scores.

A = (score - group mean) / (std of the task + 1e-6), where the std comes from exponential moving
averages (EMA) that a task's batches update before they are used. Both trainers' estimators call
`token_advantages`; the glue around them decides which rows are real and which task each has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reward_plugins.errors import CamReasonerError
from reward_plugins.files import write_file

EPSILON = 1e-6
"""Added to every divisor, as the released code does (core_algos.py:475-503)."""


class EmaSettingError(CamReasonerError, ValueError):
    """A setting of the estimator out of its range."""


class BatchError(CamReasonerError, ValueError):
    """A batch that no advantage can be computed for."""


class EmaStateError(CamReasonerError, RuntimeError):
    """A saved state that is missing, damaged, or of other settings."""


def _moments(scores: Sequence[float]) -> tuple[float, ...]:
    return _mean(scores), _mean([score * score for score in scores])


def _batch_std(scores: Sequence[float]) -> tuple[float, ...]:
    return (_population_std(scores),)


def _std_of_moments(mean: float, mean_square: float) -> float:
    return math.sqrt(max(mean_square - mean * mean, 0.0))


class _Statistic(NamedTuple):
    size: int
    measure: Callable[[Sequence[float]], tuple[float, ...]]
    """What a batch contributes to the averages."""
    std: Callable[..., float]
    """The std that averages stand for."""


_STATISTICS = {
    "moments": _Statistic(2, _moments, _std_of_moments),
    "std": _Statistic(1, _batch_std, float),
}


KEYS = ("task", "shared")


class EmaNormalizer:
    """Turns scores into advantages and keeps one running std a task.

    `beta` is the EMA's decay (paper Table 6: 0.99); 0 means this batch alone, which with
    `statistic="std"` is plain batch-std GRPO. `statistic`: `moments` averages E[x] and E[x²] of
    the uncentred scores (released code, core_algos.py:219-517); `std` averages each batch's
    population std (the papers' text). A std is never below `min_std`. A group with an advantage
    beyond ±`guard` falls back to its own population std. `key`: each `task` has a std of its own,
    or all are `shared` (the released rows have one task between them), or a JSON object says by
    task under which name it has one.

    Sums are exactly rounded, so neither the order of rows nor that of tasks changes a bit.
    """

    def __init__(
        self,
        beta: float = 0.99,
        statistic: str = "moments",
        min_std: float = 1e-3,
        guard: float = 5.0,
        key: str = "task",
    ) -> None:
        if not 0.0 <= beta < 1.0:
            raise EmaSettingError(f"ema_beta: {beta!r} is not in [0, 1)")
        if statistic not in _STATISTICS:
            raise EmaSettingError(f"statistic: {statistic!r} is not one of {sorted(_STATISTICS)}")
        self._names = _names_of(key)
        if not (min_std > 0.0 and guard > 0.0):
            raise EmaSettingError(f"min_std {min_std!r} and guard {guard!r} must be above 0")
        self.beta, self.statistic, self.min_std, self.guard = beta, statistic, min_std, guard
        self.key = key
        self._averages: dict[str, tuple[float, ...]] = {}
        self._guarded = 0

    def advantages(
        self, scores: Tensor | Sequence[float], groups: Iterable[Any], tasks: Iterable[Any]
    ) -> Tensor:
        """Update the EMA with a batch, then return its advantages.

        `scores`, `groups` (a prompt's id) and `tasks`: (B,) each, real rows only: a padding row or
        a filtered group would enter the statistics. Returns (B,) in the scores' floating dtype,
        on their device. Raises `BatchError` for unequal lengths, scores that are not finite, a
        group of one response (it has no baseline) and a group with two tasks; a batch that raises
        leaves the state as it was.
        """
        tensor = torch.as_tensor(scores)
        values, keys = [float(x) for x in tensor.tolist()], list(groups)
        names = [
            self.key if self._names is None else self._names.get(str(task), str(task))
            for task in tasks
        ]
        rows = _rows_by_group(values, keys, names)
        for task in set(names):
            self._update(task, [x for x, name in zip(values, names, strict=True) if name == task])
        out, self._guarded = [0.0] * len(values), 0
        for members in rows.values():
            own = self._group([values[i] for i in members], self.std(names[members[0]]))
            for i, advantage in zip(members, own, strict=True):
                out[i] = advantage
        dtype = tensor.dtype if tensor.is_floating_point() else torch.get_default_dtype()
        return torch.tensor(out, dtype=dtype, device=tensor.device)

    def std(self, task: str) -> float:
        """The task's running std, not below `min_std`; KeyError for a task never seen."""
        return max(_STATISTICS[self.statistic].std(*self._averages[task]), self.min_std)

    def metrics(self) -> dict[str, float]:
        """`ema_grpo/std/<task>` of every task, and how many groups the guard caught last time."""
        stds = {f"ema_grpo/std/{task}": self.std(task) for task in sorted(self._averages)}
        return {**stds, "ema_grpo/guarded_groups": float(self._guarded)}

    def state_dict(self) -> dict[str, Any]:
        """All that advantages depend on, JSON-able and restored bit for bit."""
        tasks = {task: list(values) for task, values in sorted(self._averages.items())}
        return {**self._settings(), "tasks": tasks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; `EmaStateError` if it is damaged or of other settings."""
        for name, own in self._settings().items():
            if state.get(name) != own:
                raise EmaStateError(
                    f"EMA state: {name} was {state.get(name)!r}, but is {own!r} now; resume with "
                    f"the run's own settings, or start a new run directory"
                )
        size = _STATISTICS[self.statistic].size
        self._averages = {task: _floats(task, v, size) for task, v in _tasks(state).items()}

    def _settings(self) -> dict[str, Any]:
        return {"beta": self.beta, "statistic": self.statistic, "key": self.key}

    def _update(self, task: str, scores: Sequence[float]) -> None:
        now = _STATISTICS[self.statistic].measure(scores)
        old = self._averages.get(task)
        if old is not None:  # a task's first batch is assigned, without bias correction
            keep = self.beta
            now = tuple(keep * a + (1.0 - keep) * b for a, b in zip(old, now, strict=True))
        self._averages[task] = now

    def _group(self, scores: Sequence[float], std: float) -> list[float]:
        mean = _mean(scores)
        scaled = [(score - mean) / (std + EPSILON) for score in scores]
        if max(map(abs, scaled)) <= self.guard:
            return scaled
        self._guarded += 1
        return [(score - mean) / (_population_std(scores) + EPSILON) for score in scores]


def token_advantages(
    normalizer: EmaNormalizer,
    token_level_rewards: Tensor,
    response_mask: Tensor,
    groups: Iterable[Any],
    tasks: Iterable[Any],
    real: Iterable[Any] | None = None,
) -> Tensor:
    """Advantages of every token: (B, T) rewards and mask to (B, T), zero where the mask is.

    A response's score is the sum of its token rewards. `real`: (B,) truth values; rows where it
    is false are padding, enter no statistics and get zeros. None means that all are real. Raises
    `BatchError` where none is: such an update would train nothing.
    """
    keep = [bool(x) for x in real] if real is not None else [True] * len(token_level_rewards)
    if not any(keep):
        raise BatchError(
            f"none of {len(keep)} rows has a task: all are padding, and nothing would be trained; "
            "verl announces tasks in its mode trainer.v1.trainer_mode=sync_ema"
        )
    index = torch.tensor([i for i, kept in enumerate(keep) if kept], dtype=torch.long)
    index = index.to(token_level_rewards.device)
    scores = token_level_rewards.sum(dim=-1)
    rows = zip(groups, tasks, keep, strict=True)
    pairs = [(group, task) for group, task, kept in rows if kept]
    own = normalizer.advantages(scores[index], [g for g, _ in pairs], [t for _, t in pairs])
    return torch.zeros_like(scores).index_copy(0, index, own)[:, None] * response_mask


def save_state(path: Path, normalizer: EmaNormalizer) -> None:
    """Write the state as JSON, atomically and synced. Trainers call it *before* the checkpoint.

    Written first, it is there for every checkpoint that is complete: a crash in between leaves a
    state without a checkpoint, which nothing reads and the next save replaces.
    """
    write_file(path, json.dumps(normalizer.state_dict(), indent=1))


def load_state(path: Path, normalizer: EmaNormalizer) -> None:
    """Restore what `save_state` wrote; `EmaStateError` names a missing or damaged file."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EmaStateError(
            f"no EMA state at {path}: this checkpoint was not written with ema_grpo, and a resumed "
            f"run would differ from an unbroken one; resume from another, or start a new run"
        ) from error
    except ValueError as error:
        raise EmaStateError(f"{path} is damaged ({error}); resume from an older one") from error
    normalizer.load_state_dict(state)


def _rows_by_group(
    values: Sequence[float], groups: Sequence[Hashable], tasks: Sequence[str]
) -> dict[Hashable, list[int]]:
    if not len(values) == len(groups) == len(tasks):
        lengths = f"{len(values)} scores, {len(groups)} groups and {len(tasks)} tasks"
        raise BatchError(f"{lengths}: there must be one of each a response")
    rows: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        rows.setdefault(group, []).append(i)
    for group, members in rows.items():
        _check_group(group, [values[i] for i in members], {tasks[i] for i in members})
    return rows


def _check_group(group: Hashable, scores: Sequence[float], tasks: set[str]) -> None:
    if not all(map(math.isfinite, scores)):
        raise BatchError(f"group {group!r}: scores {scores} are not all finite; mend the reward")
    if len(scores) == 1:
        raise BatchError(f"group {group!r} has one response; set the group size above 1")
    if len(tasks) > 1:
        raise BatchError(f"group {group!r} has several tasks {sorted(tasks)}; one prompt has one")


def _names_of(key: str) -> dict[str, str] | None:
    """Names of stds by task, where not the task's own; None where all share one."""
    if key in KEYS:
        return {} if key == "task" else None
    try:
        found = json.loads(key)
    except ValueError:
        found = None
    if isinstance(found, dict) and all(isinstance(name, str) for name in found.values()):
        return found
    raise EmaSettingError(f"key: {key!r} is not one of {sorted(KEYS)}, nor names by task in JSON")


def _tasks(state: Mapping[str, Any]) -> Mapping[str, Any]:
    tasks = state.get("tasks")
    if not isinstance(tasks, Mapping):
        raise EmaStateError(f"EMA state: tasks is {tasks!r}, not a mapping; resume from another")
    return tasks


def _floats(task: str, values: Any, size: int) -> tuple[float, ...]:
    floats = isinstance(values, list) and all(isinstance(value, float) for value in values)
    if not (floats and len(values) == size and all(map(math.isfinite, values))):
        raise EmaStateError(
            f"EMA state of task {task!r}: {values!r} is not {size} finite numbers; it is damaged, "
            f"resume from an older checkpoint"
        )
    return tuple(values)


def _mean(values: Sequence[float]) -> float:
    # Rounding must not push a mean past the extremes: equal scores have an advantage of exactly 0.
    return min(max(math.fsum(values) / len(values), min(values)), max(values))


def _population_std(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.sqrt(_mean([(value - mean) * (value - mean) for value in values]))
