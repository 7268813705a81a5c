"""verl's rollout server without an accelerator: Hugging Face `generate` in a Ray actor."""

import asyncio
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ray
import torch
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput

from reward_plugins.errors import CamReasonerError
from reward_plugins.verl_plugin.cpu.generation import Prompt, Response, sample

logger = logging.getLogger(__name__)
WINDOW = 0.1
"""Seconds without a new request after which the waiting ones become a batch, unless their number
is known: what else is in a batch rounds a response's probabilities."""


class WeightsError(CamReasonerError, RuntimeError):
    """The trainer's weights aren't those of the rollout's model."""


def server_name(replica_rank: int) -> str:
    """Name of the Ray actor that serves replica `replica_rank`."""
    return f"hf_cpu_server_{replica_rank}"


@dataclass(eq=False)
class _Request:
    prompt: Prompt
    key: tuple[bytes, int]  # identical prompts sort together, then by seed
    temperature: float
    max_tokens: int
    wave: tuple[str, int] | None
    """Name and number of the requests that become a batch together, where these are known."""
    done: asyncio.Future[Response]


class CPUServer:
    """Serves all waiting requests as one padded batch."""

    def __init__(self, model_path: str, response_length: int) -> None:
        from transformers import AutoModelForImageTextToText
        from verl.utils.tokenizer import hf_processor

        self.processor = hf_processor(model_path)
        self.model = AutoModelForImageTextToText.from_pretrained(
            model_path, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()
        self.response_length = response_length
        self.global_steps: int | None = None
        self.waiting: list[_Request] = []
        self.serving: asyncio.Task[None] | None = None

    async def load_weights(
        self, weights: dict[str, torch.Tensor], global_steps: int | None
    ) -> None:
        """Take over the trainer's weights; every tensor must be there, and no other."""
        own = set(self.model.state_dict())
        if own != set(weights):
            odd = sorted(own ^ set(weights))[:4]
            raise WeightsError(f"weights differ in names from the rollout's model, e.g. {odd}")
        self.model.load_state_dict(weights)
        self.global_steps = global_steps

    async def generate(
        self,
        request_id: str,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: list[Any] | None = None,
        video_data: list[Any] | None = None,
        mm_processor_kwargs: dict[str, Any] | None = None,
        **_: Any,
    ) -> TokenOutput:
        """Queue a request and wait for its response."""
        prompt = Prompt(tuple(prompt_ids), video_data, image_data)
        request = self._request(prompt, sampling_params)
        self.waiting.append(request)
        if self.serving is None or self.serving.done():
            self.serving = asyncio.create_task(self._serve())
        response = await request.done
        return TokenOutput(
            token_ids=response.ids,
            log_probs=response.log_probs if sampling_params.get("logprobs") else None,
            stop_reason="completed",
            extra_fields={"global_steps": self.global_steps},
        )

    def _request(self, prompt: Prompt, params: dict[str, Any]) -> _Request:
        if params.get("top_p", 1.0) != 1.0 or params.get("top_k", -1) > 0:
            raise ValueError("the CPU rollout samples the whole distribution: top_p 1, top_k -1")
        if "seed" not in params:
            raise ValueError(
                "a request has no seed: set rollout.agent.default_agent_loop=video_agent"
            )
        return _Request(
            prompt,
            (_digest(prompt), int(params["seed"])),
            float(params.get("temperature", 1.0)),
            int(params.get("max_tokens") or self.response_length),
            params.get("wave"),
            asyncio.get_running_loop().create_future(),
        )

    async def _serve(self) -> None:
        while self.waiting:
            await self._settle()
            first = min(self.waiting, key=lambda r: r.key)
            batch = [r for r in self.waiting if _settings(r) == _settings(first)]
            self.waiting = [r for r in self.waiting if _settings(r) != _settings(first)]
            await self._answer(sorted(batch, key=lambda r: r.key))

    async def _settle(self) -> None:
        count = 0
        while count != len(self.waiting) or not self._whole():
            count = len(self.waiting)
            await asyncio.sleep(WINDOW)

    def _whole(self) -> bool:
        waves = Counter(request.wave for request in self.waiting if request.wave)
        return all(size == count for (_, size), count in waves.items())

    async def _answer(self, batch: list[_Request]) -> None:
        sampling = asyncio.create_task(asyncio.to_thread(self._sample, batch))
        await asyncio.wait([sampling])
        if error := sampling.exception():
            for request in batch:  # whoever waits for it raises it
                request.done.set_exception(error)
            return
        for request, response in zip(batch, sampling.result(), strict=True):
            request.done.set_result(response)

    def _sample(self, batch: list[_Request]) -> list[Response]:
        digests = list(dict.fromkeys(request.key[0] for request in batch))
        prompts = {request.key[0]: request.prompt for request in batch}
        logger.info("sampling %d responses to %d prompts", len(batch), len(digests))
        return sample(
            self.model,
            self.processor,
            [prompts[digest] for digest in digests],
            rows=[digests.index(request.key[0]) for request in batch],
            seeds=[request.key[1] for request in batch],
            temperature=batch[0].temperature,
            max_tokens=batch[0].max_tokens,
        )

    async def ready(self) -> int:
        """Process id, once the model is loaded."""
        return os.getpid()

    # What RolloutReplica calls on engines that hold device memory; here there is none to free.
    async def wake_up(self) -> None: ...
    async def sleep(self) -> None: ...
    async def abort_all_requests(self, reject_request: bool = False) -> None: ...
    async def resume_generation(self) -> None: ...
    async def clear_kv_cache(self) -> None: ...
    async def release_kv_cache(self) -> None: ...
    async def resume_kv_cache(self) -> None: ...
    async def start_profile(self, **_: Any) -> None: ...
    async def stop_profile(self) -> None: ...


class CPUReplica(RolloutReplica):
    """One `CPUServer`."""

    async def launch_servers(self) -> None:
        name = server_name(self.replica_rank)
        options = {"num_cpus": 1, "name": name, "max_concurrency": self.max_concurrency}
        server = ray.remote(**options)(CPUServer).remote(
            self.model_config.path, self.config.response_length
        )
        await server.ready.remote()
        self.servers = [server]
        self._server_handle, self._server_address = server, name


class CPUServerAdapter(BaseRollout):
    """Lives in the training worker and pushes its weights to the server."""

    async def resume(self, tags: list[str]) -> None: ...

    async def release(self) -> None: ...

    async def update_weights(
        self,
        weights: Iterable[tuple[str, torch.Tensor]],
        wire_format: str = "named_tensors",
        global_steps: int | None = None,
        **_: Any,
    ) -> None:
        """Send all weights; every rank iterates, since gathering a shard is collective."""
        gathered = {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights}
        rank = int(os.environ["RANK"])
        ranks = self.config.tensor_model_parallel_size * self.config.data_parallel_size
        if rank % ranks == 0:
            server = ray.get_actor(server_name(rank // ranks))
            await server.load_weights.remote(gathered, global_steps)


def _digest(prompt: Prompt) -> bytes:
    digest = hashlib.blake2b(repr(prompt.ids).encode(), digest_size=16)
    for frames, metadata in prompt.videos or ():
        digest.update(repr(metadata["fps"]).encode())
        digest.update(frames.contiguous().numpy())
    for image in prompt.images or ():
        digest.update(repr(image.size).encode())
        digest.update(image.tobytes())
    return digest.digest()


def _settings(request: _Request) -> tuple[object, ...]:
    return request.temperature, request.max_tokens, request.wave
