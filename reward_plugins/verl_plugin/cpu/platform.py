"""verl's view of a machine without an accelerator."""

import os
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from verl.plugin.platform import PlatformBase, PlatformRegistry

_FROM_TORCH_CPU = [
    "is_available",
    "synchronize",
    "current_stream",
    "stream",
    "Stream",
    "StreamContext",
    "device_count",
    "set_device",
    "current_device",
    "Event",
]
_BYTES = ["memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"]
_IGNORED = [
    "empty_cache",
    "ipc_collect",
    "reset_peak_memory_stats",
    "manual_seed",
    "manual_seed_all",
    "set_rng_state",
]


def _device_module() -> types.ModuleType:
    """`torch.cpu` with the functions of `torch.cuda` that verl calls and `torch.cpu` lacks."""
    module = types.ModuleType("reward_plugins.verl_plugin.cpu.device")
    module.__dict__.update({name: getattr(torch.cpu, name) for name in _FROM_TORCH_CPU})
    module.__dict__.update({name: lambda *_, **__: 0 for name in _BYTES})
    module.__dict__.update({name: lambda *_, **__: None for name in _IGNORED})
    module.__dict__["mem_get_info"] = lambda *_, **__: (0, 0)
    module.__dict__["get_rng_state"] = lambda *_, **__: torch.get_rng_state()
    module.__dict__["get_device_name"] = lambda *_, **__: "CPU"
    return module


@PlatformRegistry.register(platform="cpu")
class CPUPlatform(PlatformBase):
    """Chosen by `VERL_PLATFORM=cpu` only, never detected.

    "GPU" stays the Ray resource a worker reserves, so a CPU run is scheduled like a GPU run, over
    as many logical GPUs as the cluster declares.
    """

    device_name = "cpu"
    vendor_name = "cpu"
    device_module = _device_module()

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        return False

    def current_device(self) -> str:  # type: ignore[override]  # verl only ever does x.to(this)
        return "cpu"

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None: ...

    def synchronize(self, device_index: int | None = None) -> None: ...

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None: ...

    def empty_cache(self) -> None: ...

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        return None, None

    def communication_backend_name(self) -> str:
        """`"gloo"`, having made the process group where verl is about to make one.

        verl joins this name into "cpu:gloo,cpu:gloo" (verl/utils/distributed.py:61), which torch
        rejects, but only when no group exists yet; so a training worker gets its group here.
        """
        if os.environ.get("WG_BACKEND") == "ray" and "RANK" in os.environ:
            _ensure_gloo_group()
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def profiler_start(self) -> None: ...

    def profiler_stop(self) -> None: ...

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return []

    def is_ipc_supported(self) -> bool:
        return False

    def cudart(self) -> Any:
        return None


def _ensure_gloo_group() -> None:
    if not dist.is_initialized():
        dist.init_process_group(
            backend="cpu:gloo",
            rank=int(os.environ["RANK"]),
            world_size=int(os.environ["WORLD_SIZE"]),
            init_method=os.environ.get("DIST_INIT_METHOD"),
        )
