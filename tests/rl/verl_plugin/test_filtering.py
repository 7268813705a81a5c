"""The sampler's waves, bounds and cap, over a queue in memory."""

from random import Random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from verl.trainer.ppo.v1 import replay_buffer

from reward_plugins.verl_plugin import filtering
from reward_plugins.verl_plugin.faults import Fault, GenerationError, ResponseError
from reward_plugins.verl_plugin.filtering import GroupSampler, RegenerationError, reward_means


class Queue:
    """As much of TransferQueue's key-value store as a replay buffer uses."""

    def __init__(self) -> None:
        self.tags: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, dict[str, Any]] = {}

    def kv_list(self) -> dict[str, Any]:
        return {"train": self.tags, "faults": self.faults}

    def fail(self, key: str, error: Exception) -> None:
        self.faults[key] = Fault.of("s1", error)._asdict()

    def kv_clear(self, keys: list[str], partition_id: str) -> None:
        for key in keys:
            self.faults.pop(key, None)
            self.tags.pop(key, None)
            self.rows.pop(key, None)

    def kv_batch_get(self, keys: list[str], partition_id: str, select_fields: list[str]) -> Any:
        return {field: [self.rows[key][field] for key in keys] for field in select_fields}

    def finish(self, uid: str, accuracies: list[float], status: str = "finished") -> None:
        self.tags[uid] = {"is_prompt": True, "status": status, "global_steps": 1}
        for session, accuracy in enumerate(accuracies):
            key = f"{uid}_{session}_0"
            self.tags[key] = {"status": "success"}
            info = {"accuracy": accuracy, "score": accuracy}
            scores = np.array([0.0, accuracy])
            self.rows[key] = {
                "extra_fields": {"reward_extra_info": info},
                "rm_scores": scores,
                "data_source": "binary",
            }


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    for module in (replay_buffer, filtering):
        monkeypatch.setattr(module, "tq", queue)
    return queue


def sampler(queue: Queue, waves: list[list[list[float]]], **options: Any) -> GroupSampler:
    """A sampler whose refills are `waves` of groups of accuracies; the first is there already."""
    pending = iter(waves)
    count = 0

    def refill(size: int = 0) -> None:
        nonlocal count
        for accuracies in next(pending):
            status = "finished" if accuracies else "failure"
            queue.finish(f"{count:03d}", accuracies, status)
            count += 1

    refill()
    kwargs = {"train_batch_size": 2, "poll_interval": 0.01, **options}
    return GroupSampler(
        trainer_mode="sync",
        trainer_config={},
        max_off_policy_threshold=8,
        max_off_policy_strategy="drop",
        sampler_kwargs=kwargs,
        refill_fn=refill,
    )


def uids(batch: Any) -> list[str]:
    return list(dict.fromkeys(key.split("_")[0] for key in batch.keys))


def test_without_a_metric_every_group_is_used_in_order(queue: Queue) -> None:
    batch, _ = sampler(queue, [[[1.0, 1.0], [0.0, 0.0]]]).sample(1, "train", 2)
    assert batch.keys == ["000_0_0", "000_1_0", "001_0_0", "001_1_0"]


def test_only_means_strictly_between_the_bounds_are_kept(queue: Queue) -> None:
    waves = [[[1.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.5]]]
    buffer = sampler(queue, waves, metric="accuracy", low=0.2, high=0.99)
    with pytest.raises(StopIteration):  # 0.25 is kept; without the second wave it would be one
        sampler(queue, waves[:1], metric="accuracy", low=0.2).sample(1, "train", 2)
    queue.tags.clear()
    buffer = sampler(queue, waves, metric="accuracy", low=0.2, high=0.99)
    batch, metrics = buffer.sample(1, "train", 2)
    assert uids(batch) == ["001", "003"]
    assert metrics["training/filter_groups/evicted_samples"] == 2
    assert metrics["training/filter_groups/generated_prompts"] > 2
    assert metrics["reward/accuracy"] == (2 + 1 + 0 + 0.5) / 8  # of all, not of those two groups
    assert metrics["groups/kept_share"] == 0.5


def test_the_bounds_themselves_are_outside(queue: Queue) -> None:
    waves = [[[0.25, 0.25], [0.5, 0.5], [0.75, 0.75], [0.6, 0.6]]]
    buffer = sampler(queue, waves, metric="score", low=0.25, high=0.75)
    assert uids(buffer.sample(1, "train", 2)[0]) == ["001", "003"]


def test_generation_is_capped_with_a_reason(queue: Queue) -> None:
    hopeless = [[[0.0, 0.0], [0.0, 0.0]]] * 10
    buffer = sampler(queue, hopeless, metric="accuracy", max_generation_batches=3)
    with pytest.raises(RegenerationError, match=r"6 prompts .* 2 usable groups.*0\.01 and 0\.99"):
        buffer.sample(1, "train", 2)


def test_a_batch_that_failed_wholly_ends_with_its_first_cause(queue: Queue) -> None:
    buffer = sampler(queue, [[[], []]])
    queue.fail("001_0", GenerationError("the server is gone"))
    with pytest.raises(GenerationError, match=r"(?s)2 groups .*sample 's1'.*the server is gone"):
        buffer.sample(1, "train", 2)


def test_a_group_that_failed_is_replaced_and_its_responses_counted(queue: Queue) -> None:
    buffer = sampler(queue, [[[], [1.0]], [[1.0]]])
    queue.fail("000_0", GenerationError("once"))
    queue.fail("000_1", GenerationError("twice"))
    batch, metrics = buffer.sample(1, "train", 2)
    assert uids(batch) == ["001", "002"] and metrics["training/failed_responses"] == 2
    assert not queue.faults
    queue.finish("003", [1.0])
    queue.finish("004", [1.0])
    assert buffer.sample(2, "train", 2)[1]["training/failed_responses"] == 0


def test_a_fault_whose_tag_is_under_way_is_read_when_it_is_there(queue: Queue) -> None:
    buffer = sampler(queue, [[[1.0], [1.0]]])
    queue.faults["000_0"] = {}
    buffer._sync_metadata_from_transfer_queue()
    assert "000_0" in queue.faults
    queue.fail("000_0", KeyError("late"))
    with pytest.raises(ResponseError, match="late"):
        buffer.sample(1, "train", 2)


def test_a_fault_that_would_come_again_ends_training_at_once(queue: Queue) -> None:
    buffer = sampler(queue, [[[1.0], [1.0]]])
    queue.tags["001"]["status"] = "running"  # others of the group go on
    queue.fail("001_3", ZeroDivisionError("my reward"))
    with pytest.raises(ResponseError, match=r"(?s)sample 's1'.*ZeroDivisionError: my reward"):
        buffer.sample(1, "train", 2)


def test_a_wave_is_judged_only_when_all_of_it_is_done(queue: Queue) -> None:
    buffer = sampler(queue, [[[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]], metric="accuracy")
    queue.tags["002"]["status"] = "running"
    buffer._sync_metadata_from_transfer_queue()
    reasons = buffer._terminal_eviction_reasons(1, "train")
    assert not reasons[1] and not buffer._sampleable_terminal_keys("train", reasons)
    queue.tags["002"]["status"] = "finished"
    buffer._sync_metadata_from_transfer_queue()
    reasons = buffer._terminal_eviction_reasons(1, "train")
    assert reasons[1] == {"002"}
    assert buffer._sampleable_terminal_keys("train", reasons) == {"000", "001"}


def test_an_unknown_metric_is_named(queue: Queue) -> None:
    buffer = sampler(queue, [[[1.0], [0.0]]], metric="acc")
    with pytest.raises(filtering.MetricError, match=r"'acc'.*accuracy"):
        buffer.sample(1, "train", 2)


def test_a_reward_of_a_single_number_can_be_the_metric(queue: Queue) -> None:
    buffer = sampler(queue, [[[0.5], [0.5], [1.0]]], metric="score")
    for row in queue.rows.values():
        row["extra_fields"]["reward_extra_info"] = {}
    batch, metrics = buffer.sample(1, "train", 2)
    assert uids(batch) == ["000", "001"] and metrics["reward/score"] == pytest.approx(2 / 3)


class SlowQueue(Queue):
    """One in which prompts finish eight at a time, and 7 in 100 groups are usable."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random, self.running, self.started = Random(seed), list[str](), 0

    def start(self, count: int) -> None:
        for number in range(self.started, self.started + count):
            self.tags[f"{number:06d}"] = {"is_prompt": True, "status": "running", "global_steps": 1}
            self.running.append(f"{number:06d}")
        self.started += count

    def kv_list(self) -> dict[str, Any]:
        for uid in self.running[:8]:
            self.finish(uid, [1.0, 0.0] if self.random.random() < 0.07 else [0.0, 0.0])
        del self.running[:8]
        return super().kv_list()


@pytest.mark.parametrize("seed", range(5))
def test_all_prompts_that_the_cap_allows_are_used_and_no_more(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = SlowQueue(seed)
    for module in (replay_buffer, filtering):
        monkeypatch.setattr(module, "tq", queue)
    queue.start(64)
    options = {"train_batch_size": 64, "metric": "accuracy", "poll_interval": 1e-6}
    buffer = GroupSampler(
        trainer_mode="sync",
        trainer_config={},
        max_off_policy_threshold=8,
        max_off_policy_strategy="drop",
        sampler_kwargs=options,
        refill_fn=queue.start,
    )
    batch, metrics = buffer.sample(1, "train", 64)  # 64 / 0.07 = 914 prompts of 20 x 64 = 1,280
    assert len(uids(batch)) == 64
    assert metrics["training/filter_groups/generated_prompts"] == queue.started <= 1280


@pytest.mark.parametrize("options", [{"train_batch_size": 0}, {"hihg": 1.0}, {"poll_interval": 0}])
def test_ill_formed_options_are_refused(queue: Queue, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sampler(queue, [[[1.0]]], **options)


def test_each_part_and_each_task_has_a_mean_of_its_own() -> None:
    rows = [
        {"accuracy": 1.0, "task of": "a"}, {"accuracy": 0.0, "task of": "b"},
        {"accuracy": 0.5, "map": 0.25, "task of": "b"},
    ]  # fmt: skip
    mixed = reward_means("reward", rows)
    assert mixed["reward/accuracy"] == 0.5 and mixed["reward/map"] == 0.25
    assert (mixed["reward/a/accuracy"], mixed["reward/b/accuracy"]) == (1.0, 0.25)
    assert set(reward_means("reward", rows[1:])) == {"reward/accuracy", "reward/map"}
