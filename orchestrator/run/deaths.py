"""Why a stage died, read from its exit code and its log, and what to override against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.recipe import Recipe

GPU_MEMORY = re.compile(
    r"CUDA out of memory|torch(?:\.cuda)?\.OutOfMemoryError|CUDA error: out of memory"
    r"|CUBLAS_STATUS_ALLOC_FAILED"
)
ENGINE_MEMORY = re.compile(
    r"No available memory for the cache blocks|Free memory on device .* is less than desired"
    r"|larger than the maximum number of tokens that can be stored in KV cache"
    r"|KV cache is needed, which is larger than the available"
)
HOST_MEMORY = re.compile(
    r"MemoryError|DefaultCPUAllocator: (?:can't|not enough)|Cannot allocate memory"
    r"|ray\.exceptions\.OutOfMemoryError|killed due to (?:the node running low on )?memory"
    r"|due to memory pressure|Out of memory: Killed process|oom-kill"
)
DISK = re.compile(
    r"No space left on device|Disk quota exceeded|\[Errno 27\] File too large"
    r"|basic_ios::clear: iostream error|PytorchStreamWriter failed writing"  # torch.save's words
)
ROOM = "free space on the disk, lower sft.keep_last or rl.keep_last, or set runs_dir="
NO_ROOM = 1_000_000
"""Bytes; no checkpoint is smaller."""
AGAIN = "it would end the same way again"
RAY = "Ray"
"""The place of a death that tells nothing of the command: it may come again and be another."""
SIGNALLED = 128


@dataclass(frozen=True)
class Death:
    """How one attempt ended without its result."""

    place: str
    """The command, and the step if it made one."""
    moved: bool
    """Whether it made a step since it was started."""
    cause: str
    advice: tuple[str, ...] = ()
    final: str | None = None
    """Why another attempt would end the same way; None when it may not."""


def explain(
    recipe: Recipe, stage: str, code: int, memory_kills: int, tail: str, free: int
) -> tuple[str, tuple[str, ...], bool]:
    """The cause in words, overrides to try, and whether another attempt could go better.

    `tail`: the end of the attempt's log, and `free` the bytes that its disk has left: a full one
    cuts the log short too. `memory_kills`: processes that the kernel killed for memory on the
    stage's node meanwhile.
    """
    spec = recipe.stages.get(stage)
    recipe, kind = recipe.at(stage), spec.kind if spec else stage
    ended = f"signal {code - SIGNALLED}" if code > SIGNALLED else f"exit code {code}"
    if ENGINE_MEMORY.search(tail):
        return f"{ended}: vLLM's share of the GPU is too small or too large", _engine(recipe), True
    if GPU_MEMORY.search(tail):
        return f"{ended}: out of GPU memory", tuple(_gpu(recipe, kind)), True
    if HOST_MEMORY.search(tail) or (code == SIGNALLED + 9 and memory_kills):
        return f"{ended}: out of host memory", tuple(_host(recipe, kind)), True
    if DISK.search(tail) or free < NO_ROOM:
        return f"{ended}: the disk is full", (ROOM,), False
    return ended, (), True


def of_ray(error: Exception, place: str) -> Death:
    """The end of an attempt whose node was lost, or could not write the log in `place`."""
    text = str(error).strip()
    if DISK.search(text):
        return Death(place, moved=True, cause="the disk is full", advice=(ROOM,), final=AGAIN)
    return Death(RAY, moved=True, cause=text.splitlines()[0])


def _engine(recipe: Recipe) -> tuple[str, ...]:
    now = recipe.rl.rollout.gpu_memory_utilization
    change = f"rl.rollout.gpu_memory_utilization (now {now:g}): more if the cache has no room, "
    return (
        change + "less if memory is taken",
        f"rl.max_prompt_length (now {recipe.rl.max_prompt_length})",
    )


def _gpu(recipe: Recipe, kind: str) -> Iterator[str]:
    """Overrides that lower a stage's need of GPU memory, those that keep the result first."""
    sft, rl = recipe.sft, recipe.rl
    if kind == "sft":
        if not sft.gradient_checkpointing:
            yield "sft.gradient_checkpointing=true"
        if sft.batch_size_per_device > 1:
            half = sft.batch_size_per_device // 2
            more = sft.gradient_accumulation * sft.batch_size_per_device // half
            yield f"sft.batch_size_per_device={half} sft.gradient_accumulation={more}"
        if sft.zero_stage != 3 and recipe.cluster.device == "cuda":
            yield "sft.zero_stage=3"
        yield f"sft.max_length={sft.max_length // 2}, or fewer frames or pixels"
    elif kind == "rl":
        if not rl.gradient_checkpointing:
            yield "rl.gradient_checkpointing=true"
        if rl.dynamic_batching and rl.trainer == "verl":
            least = rl.longest
            if rl.max_tokens_per_device > least:
                yield f"rl.max_tokens_per_device={max(least, rl.max_tokens_per_device // 2)}"
        elif rl.microbatch_responses > 1:
            yield f"rl.microbatch_responses={rl.microbatch_responses // 2}"
        if rl.rollout.engine == "vllm":
            lower = rl.rollout.gpu_memory_utilization * 0.8
            yield f"rl.rollout.gpu_memory_utilization={lower:.2g}"
        yield f"rl.max_response_length={rl.max_response_length // 2}, or fewer frames or pixels"
    elif kind == "eval" and recipe.eval.batch_size > 1:
        yield f"eval.batch_size={recipe.eval.batch_size // 2}"


def _host(recipe: Recipe, kind: str) -> Iterator[str]:
    if recipe.data.workers > 1:
        yield f"data.workers={recipe.data.workers // 2}"
    if kind == "sft" and recipe.sft.loader_workers > 1:
        yield f"sft.loader_workers={recipe.sft.loader_workers // 2}"
    if recipe.cluster.device == "cpu":  # there, what fills a GPU fills the host
        yield from _gpu(recipe, kind)
