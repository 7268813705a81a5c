"""verl's agent loop workers, by `rollout.agent.agent_loop_manager_class`: a group's media are read
once, and a response that fails says so.

A private hook: Ray lets no one inherit from an actor class, so the worker's own class is taken out
of it (`__ray_metadata__.modified_class`, ray 2.60).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import ray
import transfer_queue as tq
from tensordict import TensorDict
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

from reward_plugins.verl_plugin.agent_loop import MEDIA, WAVE
from reward_plugins.verl_plugin.faults import PARTITION, Fault

Worker: Any = AgentLoopWorkerTQ.__ray_metadata__.modified_class


class GroupWorker(Worker):
    """verl's worker, which runs each group in a task of its own."""

    async def generate_sequences(self, batch: TensorDict) -> None:
        """verl's; where one server answers all, it is told how many requests to wait for."""
        rollout, trainer = self.config.actor_rollout_ref.rollout, self.config.trainer
        validate = "validate" in batch and batch["validate"]
        n = rollout.val_kwargs.n if validate else rollout.n
        if trainer.nnodes * trainer.n_gpus_per_node == rollout.tensor_model_parallel_size:
            WAVE.set((str(batch["uid"][0]), n * len(batch)))
        await super().generate_sequences(batch)

    async def _run_prompt(self, prompt: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        MEDIA.set({})
        await super()._run_prompt(prompt, *args, **kwargs)

    def _compute_multi_modal_inputs(self, output: Any, input_ids: Any) -> dict[str, Any]:
        """verl's, once a group, not twice a response: pixels and grids don't hang on its text."""
        shared = MEDIA.get()
        if "inputs" not in shared:
            shared["inputs"] = super()._compute_multi_modal_inputs(output, input_ids)
        return dict(shared["inputs"])

    async def _run_agent_loop(self, *args: Any, **kwargs: Any) -> Any:
        """One response; the trainer is told of an exception before verl drops the response."""
        session: Any = super()._run_agent_loop(*args, **kwargs)
        results: Sequence[Any] = await asyncio.gather(session, return_exceptions=True)
        result = results[0]
        if isinstance(result, BaseException):
            fault = Fault.of(str(kwargs["extra_info"].get("sample_id")), result)
            key = f"{kwargs['uid']}_{kwargs['session_id']}"
            await tq.async_kv_put(key=key, partition_id=PARTITION, tag=fault._asdict())
            raise result
        return result


class GroupManager(AgentLoopManagerTQ):
    """verl's manager, of our workers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(GroupWorker)
