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


def test_verl_is_as_the_hook_expects() -> None:
    for name in ("generate_sequences", "_run_prompt", "_run_agent_loop"):
        assert inspect.iscoroutinefunction(getattr(Worker, name))
    given = inspect.signature(Worker._compute_multi_modal_inputs).parameters
    assert list(given)[:3] == ["self", "output", "input_ids"]  # Ray adds one of its own
    manager = GroupManager(
        SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=0, model=0)), None
    )
    assert issubclass(manager.agent_loop_workers_class.__ray_metadata__.modified_class, GroupWorker)
