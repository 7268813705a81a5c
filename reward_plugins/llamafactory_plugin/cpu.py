"""DeepSpeed with bf16 on a machine without a GPU, for a rehearsal.

Two private hooks. transformers asks for bf16 of a GPU unless it may use the CPU alone, and then
leaves DeepSpeed out (5.6.0, training_args.py:1734): it is told that there is one. And ZeRO-3 waits
for the last of several gatherings only (0.18.4, partition_parameters.py:1971), before which the
others have ended on a GPU's stream, but not over gloo: a third of all starts had wrong weights, or
NaN. There each is waited for.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from reward_plugins.imports import after_import


def install() -> None:
    """Where DeepSpeed is told to use the CPU, let this process train in bf16 there.

    Before LLaMA-Factory is imported, which takes the answer as it is imported.
    """
    if os.environ.get("DS_ACCELERATOR") == "cpu":
        import transformers.utils
        from transformers.utils import import_utils

        for module in (transformers.utils, import_utils):
            module.is_torch_bf16_gpu_available = _has_bf16
        after_import("deepspeed.comm.torch", _wait_for_each)


def _has_bf16() -> bool:
    return True


def _wait_for_each(module: ModuleType) -> None:
    """Have what DeepSpeed gathers be there when it goes on."""
    backend: Any = module.TorchBackend
    own = backend.all_gather_into_tensor

    def all_gather_into_tensor(*args: Any, **given: Any) -> Any:
        work = own(*args, **given)
        if work is not None:
            work.wait()
        return work

    backend.all_gather_into_tensor = all_gather_into_tensor
