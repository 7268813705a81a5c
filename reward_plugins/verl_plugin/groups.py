"""verl's agent loop workers, by `rollout.agent.agent_loop_manager_class`: a group's media are read
once, a response that fails says so, and terms of the reward over a group see all of it.

A private hook: Ray lets no one inherit from an actor class, so the worker's own class is taken out
of it (`__ray_metadata__.modified_class`, ray 2.60).
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import ray
import transfer_queue as tq
from tensordict import TensorDict
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

from reward_plugins.terms import Response, over_group
from reward_plugins.verl_plugin.agent_loop import MEDIA, WAVE
from reward_plugins.verl_plugin.faults import PARTITION, Fault

Worker: Any = AgentLoopWorkerTQ.__ray_metadata__.modified_class


class Group:
    """Responses to one question, until each has come or failed."""

    def __init__(self, asked: int) -> None:
        self.awaited, self.whole = set(range(asked)), asyncio.Event()
        self.responses: dict[int, Response] = {}

    async def add(self, session: int, response: Response, own: Mapping[str, Any]) -> None:
        """Return when all are there and have the scores of the group's terms."""
        self.responses[session], self.own = response, own
        self.leave(session)
        await self.whole.wait()

    def leave(self, session: int) -> None:
        """A response more, or one that won't come."""
        self.awaited.discard(session)
        if self.awaited or self.whole.is_set():
            return
        self.whole.set()
        responses = [self.responses[number] for number in sorted(self.responses)]
        if len(responses) > 1:
            over_group(self.own["terms"], responses, self.own)


GROUP: ContextVar[Group | None] = ContextVar("GROUP", default=None)


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

    async def _run_prompt(
        self,
        prompt: dict[str, Any],
        sampling: dict[str, Any],
        trajectory: dict[str, Any],
        **kw: Any,
    ) -> None:
        MEDIA.set({})
        asked = prompt.get("__rollout_n__", self.config.actor_rollout_ref.rollout.n)
        GROUP.set(None if trajectory["validate"] else Group(asked))
        await super()._run_prompt(prompt, sampling, trajectory, **kw)

    async def _compute_score(self, outputs: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """verl's; the reward knows tokens and progress, and the group's terms when it is whole."""
        last, own = outputs[-1], self.config.reward.custom_reward_function.reward_kwargs
        steps = self.config.actor_rollout_ref.actor.optim.total_training_steps
        known = {
            "tokens": len(last.response_ids),
            "progress": (int(kwargs["global_steps"]) - 1) / max(1, steps),
        }
        kwargs = {**kwargs, "extra_info": {**kwargs["extra_info"], **known}}
        await super()._compute_score(outputs, kwargs)
        group = GROUP.get()
        if group is None or not own.get("terms"):
            return
        scores = last.extra_fields["reward_extra_info"]
        text = self.tokenizer.decode(last.response_ids, skip_special_tokens=True)
        truth, info = kwargs["reward_model"]["ground_truth"], kwargs["extra_info"]
        response = Response(text, kwargs["data_source"], truth, info, scores)
        await group.add(kwargs["session_id"], response, own)
        last.reward_score = scores["score"]

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
            if group := GROUP.get():
                group.leave(kwargs["session_id"])
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
