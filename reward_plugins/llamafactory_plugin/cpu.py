"""DeepSpeed with bf16 on a machine without a GPU, for a rehearsal.

A private hook: transformers asks for bf16 of a GPU unless it may use the CPU alone, and then leaves
DeepSpeed out (5.6.0, training_args.py:1734); so it is told that there is one.
"""

from __future__ import annotations

import os


def install() -> None:
    """Where DeepSpeed is told to use the CPU, let this process train in bf16 there.

    Before LLaMA-Factory is imported, which takes the answer as it is imported.
    """
    if os.environ.get("DS_ACCELERATOR") == "cpu":
        import transformers.utils
        from transformers.utils import import_utils

        for module in (transformers.utils, import_utils):
            module.is_torch_bf16_gpu_available = _has_bf16


def _has_bf16() -> bool:
    return True
