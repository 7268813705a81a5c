"""bf16 beside DeepSpeed on a CPU: transformers 5.6.0 refuses it, and the hook lets it."""

import os
import subprocess
import sys

import pytest
import torch

TRY = """
from reward_plugins.llamafactory_plugin import cpu
cpu.install()
from transformers import TrainingArguments
TrainingArguments("out", bf16=True, use_cpu=False)
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has bf16")
@pytest.mark.parametrize("accelerator", ["cpu", "cuda"])
def test_bf16_on_a_cpu_where_deepspeed_is_told_to_use_it(accelerator: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env={**os.environ, "DS_ACCELERATOR": accelerator},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is (accelerator == "cpu"), done.stderr
    assert accelerator == "cpu" or "bf16/gpu" in done.stderr
