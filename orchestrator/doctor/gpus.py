"""GPUs by their data sheets: what an estimate needs to know of a machine."""

from __future__ import annotations

import shutil
import subprocess
from typing import NamedTuple


class Gpu(NamedTuple):
    """A GPU by its data sheet."""

    name: str
    bytes: float
    flops: float
    """Dense bf16, a second."""


GPUS = (
    Gpu("H200", 141e9, 989e12),
    Gpu("H100", 80e9, 989e12),
    Gpu("B200", 180e9, 2250e12),
    Gpu("A100-SXM4-40GB", 40e9, 312e12),
    Gpu("A100", 80e9, 312e12),
    Gpu("L40S", 48e9, 362e12),
    Gpu("A6000", 48e9, 155e12),
    Gpu("4090", 24e9, 165e12),
)


def local_gpu() -> Gpu:
    """This machine's first GPU if it is a known one, else the paper's H200."""
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        return next((gpu for gpu in GPUS if gpu.name in found), GPUS[0])
    return GPUS[0]
