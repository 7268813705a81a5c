"""What the GPU driver of this machine tells."""

from __future__ import annotations

import os
import shutil
import subprocess


def ask_driver(*keys: str) -> list[list[str]]:
    """A row a GPU with a value a key; none without a driver, or where it fails."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", f"--query-gpu={','.join(keys)}", "--format=csv,noheader"]
    told = subprocess.run(query, capture_output=True, text=True, check=False)
    return [] if told.returncode else [line.split(", ") for line in told.stdout.splitlines()]


def local_gpus() -> int:
    """GPUs that the driver lists and `CUDA_VISIBLE_DEVICES` leaves."""
    count, visible = len(ask_driver("index")), os.environ.get("CUDA_VISIBLE_DEVICES")
    return count if visible is None else min(count, len(visible.replace(",", " ").split()))


def gpu_memory() -> str:
    """Used and whole memory of each GPU, in GiB; empty without one."""
    rows = ask_driver("memory.used", "memory.total")
    used = " ".join(f"{_gib(used):.0f}" for used, _ in rows)
    return f"; GPU {used} of {_gib(rows[0][1]):.0f} GiB" if rows else ""


def _gib(size: str) -> float:
    """Of `71680 MiB`, as the driver writes it."""
    return int(size.split()[0]) / 1024
