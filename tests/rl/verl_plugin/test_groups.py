"""verl's own worker, under ours: what each of its responses failed of reaches the queue."""

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from verl.trainer.ppo.v1 import agent_loop_tq

from reward_plugins.verl_plugin import groups
from reward_plugins.verl_plugin.agent_loop import MEDIA
from reward_plugins.verl_plugin.faults import Fault
from reward_plugins.verl_plugin.groups import GroupManager, GroupWorker, Worker


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker whose sessions with an odd number fail, and the queue's tags."""

    async def put(key: str, partition_id: str, tag: dict[str, Any]) -> None:
        tags[partition_id, key] = tag

    async def run(self: Any, *args: Any, session_id: int, **kwargs: Any) -> int:
        MEDIA.get().setdefault("reads", []).append(session_id)
        if session_id % 2:
            raise ZeroDivisionError(f"session {session_id}")
        return session_id

    for module in (agent_loop_tq, groups):
        monkeypatch.setattr(module, "tq", SimpleNamespace(async_kv_put=put))
    monkeypatch.setattr(Worker, "_run_agent_loop", run)
    worker = object.__new__(GroupWorker)
    rollout = SimpleNamespace(n=4)
    worker.config = SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=rollout))
    tags = worker.tags = dict[tuple[str, str], dict[str, Any]]()
    return worker


def test_each_response_that_fails_says_of_what(worker: Any) -> None:
    prompt = {"uid": "g", "extra_info": {"sample_id": "s1"}}
    asyncio.run(worker._run_prompt(prompt, {}, {"validate": False}))
    faults = {key: Fault.read(tag) for (part, key), tag in worker.tags.items() if part == "faults"}
    assert sorted(faults) == ["g_1", "g_3"]
    assert faults["g_1"].sample == "s1" and not faults["g_1"].transient
    assert "ZeroDivisionError: session 1" in faults["g_1"].cause
    assert worker.tags["train", "g"] == {"status": "failure"}


def test_the_pixels_of_a_group_are_made_once(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Any, *args: Any, **kwargs: Any) -> None:
        inputs = self._compute_multi_modal_inputs("output", "ids")
        assert inputs.pop("mm_token_type_ids") == [1]  # as verl does with its own
        seen.append(inputs["pixels"])

    def compute(self: Any, output: Any, input_ids: Any) -> dict[str, Any]:
        return {"pixels": object(), "mm_token_type_ids": [1]}

    seen: list[object] = []
    monkeypatch.setattr(Worker, "_run_agent_loop", run)
    monkeypatch.setattr(Worker, "_compute_multi_modal_inputs", compute)
    for uid in "ab":
        prompt = {"uid": uid, "extra_info": {"sample_id": "s1"}}
        asyncio.run(worker._run_prompt(prompt, {}, {"validate": False}))
    assert len(seen) == 8 and len(set(seen[:4])) == len(set(seen[4:])) == 1
    assert seen[0] is not seen[4]


TERM = {
    "function": "reward_plugins/systems/video_r1.py:length", "weight": 0.2, "over": "group",
    "when": {"accuracy": 0.1}, "tasks": None, "veto": False,
    "arguments": {"shortest": 320, "longest": 512},
}  # fmt: skip


@pytest.mark.parametrize(
    ("lengths", "validate", "paid"),
    [
        ([320, 512, 100, 513], False, [1.2, 1.2, 1.0, 1.0]),
        ([320, None, 100, None], False, [1.2, 1.0]),
        ([320, None, None, None], False, [1.0]),  # nothing to compare with
        ([320, 512, 100, 513], True, [1.0] * 4),
    ],
)
def test_a_term_over_a_group_sees_all_that_came(
    lengths: list[int | None], validate: bool, paid: list[float],
    worker: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def run(self: Any, *args: Any, session_id: int, **kwargs: Any) -> None:
        await asyncio.sleep(0.01 * ((session_id * 3) % 4))
        if (length := lengths[session_id]) is None:
            raise ZeroDivisionError
        output = SimpleNamespace(response_ids=[7] * length, extra_fields={})
        await self._compute_score([output], kwargs={**kwargs, "session_id": session_id})
        outputs[session_id] = output

    async def compute(self: Any, outputs: Any, kwargs: dict[str, Any]) -> None:
        told.append(kwargs["extra_info"])
        outputs[-1].reward_score = 1.0
        scores = {"score": 1.0, "accuracy": 1.0, "format": 1.0, "length": 0.0}
        outputs[-1].extra_fields["reward_extra_info"] = scores

    outputs: dict[int, Any] = {}
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(Worker, "_run_agent_loop", run)
    monkeypatch.setattr(Worker, "_compute_score", compute)
    reward = SimpleNamespace(reward_kwargs={"terms": {"length": TERM}, "format_weight": 0.1})
    worker.config.reward = SimpleNamespace(custom_reward_function=reward)
    actor = SimpleNamespace(optim=SimpleNamespace(total_training_steps=10))
    rollout = SimpleNamespace(n=4, val_kwargs=SimpleNamespace(n=4))
    worker.config.actor_rollout_ref = SimpleNamespace(rollout=rollout, actor=actor)
    worker.tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: "x" * len(ids))
    prompt = {
        "uid": "g", "global_steps": 6, "data_source": "t",
        "reward_model": {"ground_truth": "A"}, "extra_info": {"sample_id": "s1"},
    }  # fmt: skip
    asyncio.run(worker._run_prompt(prompt, {}, {"validate": validate}))
    assert [outputs[n].reward_score for n in sorted(outputs)] == pytest.approx(paid)
    assert {known["progress"] for known in told} == {0.5}
    assert sorted(known["tokens"] for known in told) == sorted(filter(None, lengths))


def test_verl_is_as_the_hook_expects() -> None:
    for name in ("generate_sequences", "_run_prompt", "_run_agent_loop", "_compute_score"):
        assert inspect.iscoroutinefunction(getattr(Worker, name))
    given = inspect.signature(Worker._compute_multi_modal_inputs).parameters
    assert list(given)[:3] == ["self", "output", "input_ids"]  # Ray adds one of its own
    given = inspect.signature(Worker._compute_score).parameters
    assert list(given)[:3] == ["self", "outputs", "kwargs"]
    manager = GroupManager(
        SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=0, model=0)), None
    )
    assert issubclass(manager.agent_loop_workers_class.__ray_metadata__.modified_class, GroupWorker)
