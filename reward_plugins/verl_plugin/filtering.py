"""Online filtering: train on groups whose mean accuracy (or reward) lies strictly between bounds.

verl's own filter only drops groups without spread, refills without an end and picks among the
groups at hand in arbitrary order. This replay buffer enters through
`trainer.v1.sampler.custom_sampler` and its `sampler_kwargs`.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from statistics import fmean
from typing import Any

import transfer_queue as tq
from omegaconf import DictConfig
from pydantic import BaseModel, ConfigDict, Field
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from reward_plugins.errors import CamReasonerError
from reward_plugins.verl_plugin.faults import PARTITION, Fault, GenerationError, ResponseError

logger = logging.getLogger(__name__)


class RegenerationError(CamReasonerError, RuntimeError):
    """Too many prompts were generated for too few usable groups."""


class MetricError(CamReasonerError, KeyError):
    """A metric that the reward function doesn't return."""

    def __str__(self) -> str:
        return str(self.args[0])


class SamplerOptions(BaseModel):
    """`trainer.v1.sampler.sampler_kwargs`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train_batch_size: int = Field(gt=0)
    """Prompts an update needs."""
    metric: str | None = None
    """A key of the reward's dictionary; none: every group is used."""
    low: float = 0.01
    """A group's mean must be greater (released config: 0.01)."""
    high: float = 0.99
    """A group's mean must be less (released config: 0.99)."""
    max_generation_batches: int = Field(default=20, gt=0)
    """Batches of prompts generated for one update at most (released config: 20)."""
    poll_interval: float = Field(default=2.0, gt=0)
    """Seconds between two looks at the rollouts (verl's default: 2)."""


class GroupSampler(ReplayBuffer):
    """verl's synchronous buffer with bounds, a cap, and an order that repeats."""

    def __init__(
        self,
        *,
        sampler_kwargs: DictConfig,
        refill_fn: Callable[[int], Any],
        **kwargs: Any,
    ) -> None:
        self.options = SamplerOptions.model_validate(dict(sampler_kwargs))
        self.submit = refill_fn
        self.generated = 0
        self.faults: list[Fault] = []
        self.failed_groups = 0
        self.rewards: dict[str, list[dict[str, Any]]] = {}
        """What each response of a step's finished groups earned, kept and dropped alike."""
        super().__init__(
            sampler_kwargs=sampler_kwargs,
            refill_fn=self._refill,
            poll_interval=self.options.poll_interval,
            filter_groups_metric=self.options.metric,
            train_batch_size=self.options.train_batch_size,
            gen_batch_size=1,
            sync_refill_failed_groups=True,
            **kwargs,
        )

    def sample(
        self, global_steps: int, partition_id: str, batch_size: int
    ) -> tuple[KVBatchMeta, dict[str, Any]]:
        self.generated, self.faults, self.failed_groups = batch_size, [], 0
        self.rewards = {}
        batch, metrics = super().sample(global_steps, partition_id, batch_size)
        if partition_id == "train":
            metrics["training/filter_groups/generated_prompts"] = self.generated
            metrics["training/failed_responses"] = len(self.faults)
            metrics["groups/kept_share"] = batch_size / max(len(self.rewards), batch_size)
            metrics |= reward_means("reward", chain(*self.rewards.values()))
        return batch, metrics

    def _sync_metadata_from_transfer_queue(self) -> None:
        """verl's; a fault that would come again ends the training here, with its first cause."""
        super()._sync_metadata_from_transfer_queue()
        tags = {key: tag for key, tag in self.partitions.pop(PARTITION, {}).items() if tag}
        if not tags:  # or the queue has the key of one, and not yet its tag
            return
        tq.kv_clear(keys=list(tags), partition_id=PARTITION)
        new = [Fault.read(tags[key]) for key in sorted(tags)]
        for fault in new:
            if not fault.transient:
                raise ResponseError(f"no response to {fault}")
            logger.warning("a response is lost and its group trains without it: %s", fault)
        self.faults += new

    def _refill(self, count: int) -> None:
        """Start the next wave, of one batch at most and of what the cap leaves.

        verl asks for two prompts in the place of each that is dropped, and goes on asking while
        the wave runs: waves would double until one of them bursts the cap.
        """
        if self._busy("train"):
            return
        cap = self.options.max_generation_batches * self.options.train_batch_size
        count = min(count, cap - self.generated)
        self.generated += count
        if count == 0:
            raise RegenerationError(
                f"{cap} prompts gave fewer than {self.options.train_batch_size} usable groups "
                f"({self.failed_groups} failed): {self.options.metric} must have a mean strictly "
                f"between {self.options.low} and {self.options.high}; widen these bounds, raise "
                "rl.filter.max_refills, or start from a checkpoint that sometimes succeeds"
            )
        self.submit(count)

    def _terminal_eviction_reasons(
        self, global_steps: int, partition_id: str
    ) -> tuple[set[str], set[str], set[str], Counter[float]]:
        """Judge a wave of prompts only when all of it is done, so that refills repeat too."""
        if self._busy(partition_id):
            return set(), set(), set(), Counter()
        if partition_id != "val":
            self._note_rewards(partition_id)
        reasons = super()._terminal_eviction_reasons(global_steps, partition_id)
        self._count_failed(len(reasons[2]))
        return reasons

    def _note_rewards(self, partition_id: str) -> None:
        """Read what the groups earned that have finished since."""
        new = self.finished_keys[partition_id] - self.rewards.keys()
        keys = [key for key in self.partitions[partition_id] if key.split("_")[0] in new]
        if not keys:
            return
        fields = ["extra_fields", "rm_scores", "data_source"]
        rows = tq.kv_batch_get(keys=keys, partition_id=partition_id, select_fields=fields)
        for key, row, scores, task in zip(keys, *(rows[name] for name in fields), strict=True):
            earned = {"score": float(scores.sum()), **earnings(row, task)}
            self.rewards.setdefault(key.split("_")[0], []).append(earned)

    def _count_failed(self, groups: int) -> None:
        """Groups without a single response; a batch of them is no accident."""
        self.failed_groups += groups
        if groups and self.failed_groups >= self.options.train_batch_size:
            raise GenerationError(
                f"{self.failed_groups} groups have no response at all, as many as a batch has; "
                f"the first, {self.faults[0] if self.faults else 'for a reason unknown'}"
            )

    def _sampleable_terminal_keys(self, partition_id: str, eviction_reasons: Any) -> set[str]:
        if self._busy(partition_id):
            return set()
        return super()._sampleable_terminal_keys(partition_id, eviction_reasons)

    def _busy(self, partition_id: str) -> bool:
        return bool(self.pending_keys[partition_id] or self.running_keys[partition_id])

    def _dapo_filtered_keys(self, partition_id: str) -> tuple[set[str], Counter[float]]:
        """Finished groups whose mean is out of bounds, and how many have which mean."""
        if partition_id == "val" or self.filter_groups_metric is None:
            return set(), Counter()
        means = {uid: self._mean(uid) for uid in self.finished_keys[partition_id]}
        low, high = self.options.low, self.options.high
        evicted = {uid: mean for uid, mean in means.items() if not low < mean < high}
        return set(evicted), Counter(evicted.values())

    def _mean(self, uid: str) -> float:
        name, group = str(self.filter_groups_metric), self.rewards[uid]
        if name not in group[0]:
            raise MetricError(f"sampler_kwargs.metric={name!r}: the reward has {sorted(group[0])}")
        return fmean(float(earned[name]) for earned in group)

    def _select_prompt_uids(
        self, partition_id: str, sampleable_keys: set[str], batch_size: int
    ) -> tuple[list[str], dict[str, dict[str, Any]], dict[str, int]]:
        """The first groups by name, and their trajectories in the order of their names."""
        _, snapshot, steps = super()._select_prompt_uids(partition_id, sampleable_keys, batch_size)
        ordered = dict(sorted(snapshot.items(), key=lambda item: _session(item[0])))
        return sorted(sampleable_keys)[:batch_size], ordered, steps


TASK = "task of"
"""Key of the task beside the parts of a reward: no part is called so."""


def earnings(extra_fields: Any, task: str) -> dict[str, Any]:
    """The parts of a response's reward, from verl's row of it, and its `TASK`."""
    return {**getattr(extra_fields, "data", extra_fields)["reward_extra_info"], TASK: task}


def reward_means(where: str, earned: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Means of each part over the responses that have it: `<where>/accuracy`, `<where>/map`, ...

    Where several tasks are mixed, each task's own beside them: `<where>/<task>/accuracy`, ...
    """
    parts: dict[str, list[float]] = defaultdict(list)
    rows = list(earned)
    several = len({row[TASK] for row in rows}) > 1
    for row in rows:
        for name in row.keys() - {TASK}:
            for title in (name, f"{row[TASK]}/{name}")[: 1 + several]:
                parts[f"{where}/{title}"].append(float(row[name]))
    return {name: fmean(values) for name, values in sorted(parts.items())}


def _session(key: str) -> tuple[str, int, int]:
    uid, session, index = key.rsplit("_", 2)
    return uid, int(session), int(index)
