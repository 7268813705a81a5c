"""verl's single-turn agent loop, for videos whose frame rate is known."""

import asyncio
import hashlib
from contextvars import ContextVar
from typing import Any

import torch
from ray.exceptions import RayError
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from reward_plugins.verl_plugin.faults import GenerationError

NAME = "video_agent"
MEDIA: ContextVar[dict[str, Any]] = ContextVar("MEDIA")
"""What the responses of one group share: the media of their prompt, and the processor's pixels."""
WAVE: ContextVar[tuple[str, int] | None] = ContextVar("WAVE", default=None)
"""What is generated together: a name, and how many responses one server will be asked for."""


@register(NAME)
class VideoAgentLoop(SingleTurnAgentLoop):
    """Positions as the rollout numbers them, and a seed for each response where that is free.

    verl's worker numbers the training side without the video's seconds per temporal patch
    (verl/experimental/agent_loop/agent_loop.py:939), unless its processor has the attribute
    `get_rope_index_kwargs`, for which it asks (948) and which no Qwen processor has.
    vLLM 0.24 drops the frame rate that comes with a video and assumes 24 a second
    (vllm/multimodal/parse.py:663; mended in vllm pull request 47736), unless the request names the
    metadata again as an argument of the processor.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.video_metadata: list[dict[str, Any]] = []
        self.processor.get_rope_index_kwargs = rope_index_kwargs

    async def process_multi_modal_info(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """verl's, once a group, remembering the metadata: a loop lives for one response."""
        shared = MEDIA.get()
        if "media" not in shared:
            read = super().process_multi_modal_info(messages)
            shared["media"] = asyncio.ensure_future(read)
        media = dict(await shared["media"])
        self.video_metadata = [metadata for _, metadata in media.get("videos", [])]
        return media

    def _get_mm_processor_kwargs(self, audio_data: list[Any] | None = None) -> dict[str, Any]:
        given = super()._get_mm_processor_kwargs(audio_data)
        if self.rollout_config.name != "vllm" or not self.video_metadata:
            return given
        return {**given, "video_metadata": self.video_metadata, "do_sample_frames": False}

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """Sample one response; vLLM gets no seed, with which it samples row by row.

        verl's worker sets a repetition penalty of 1 whatever its config says (trainer/ppo/v1/
        agent_loop_tq.py:68).

        Raises `GenerationError` where the rollout server, which alone is remote, fails.
        """
        penalty = self.rollout_config.repetition_penalty
        sampling_params = {**sampling_params, "repetition_penalty": penalty}
        if self.rollout_config.name != "vllm":
            names = (self.rollout_config.seed, kwargs["uid"], kwargs["session_id"])
            seed = response_seed(*names)
            sampling_params = {**sampling_params, "seed": seed, "wave": WAVE.get()}
        try:
            return await super().run(sampling_params, **kwargs)
        except RayError as error:
            raise GenerationError(f"the rollout server failed: {error}") from error


def rope_index_kwargs(multi_modal_inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What `get_rope_index` needs beside the grids: seconds per temporal patch, shape (videos,)."""
    seconds = multi_modal_inputs.get("second_per_grid_ts")
    return {} if seconds is None else {"second_per_grid_ts": torch.as_tensor(seconds)}


def response_seed(seed: int, group: str, session: int) -> int:
    """The same for the same run, group and place in it, whichever server answers, and when."""
    digest = hashlib.blake2b(f"{seed}/{group}/{session}".encode(), digest_size=7)
    return int.from_bytes(digest.digest(), "big")
