"""bf16 beside DeepSpeed on a CPU: transformers 5.6.0 refuses it, and the hook lets it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from reward_plugins.llamafactory_plugin import cpu

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


class Work:
    """An exchange between devices that is under way."""

    done = False

    def wait(self) -> None:
        self.done = True


class Backend:
    """DeepSpeed's, of which only one function is asked."""

    def all_gather_into_tensor(self, async_op: bool = False) -> Work | None:
        return Work() if async_op else None


def test_what_zero_3_gathers_is_there_when_it_goes_on() -> None:
    """It waits for the last of several alone (deepspeed 0.18.4, partition_parameters.py:1971)."""
    before = Backend().all_gather_into_tensor(async_op=True)
    assert before is not None and not before.done
    cpu._wait_for_each(SimpleNamespace(TorchBackend=Backend))  # type: ignore[arg-type]
    after = Backend().all_gather_into_tensor(async_op=True)
    assert after is not None and after.done
    assert Backend().all_gather_into_tensor() is None
