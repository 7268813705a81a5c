"""Everything that can be known to fail before a GPU is touched."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.doctor import frame_cache
from orchestrator.doctor.advice import advice
from orchestrator.doctor.estimate import Estimate, estimate, fits, paper_check, proposal
from orchestrator.doctor.imports import environments
from orchestrator.doctor.machine import Verdict, machine
from orchestrator.doctor.memory import kv_tokens
from orchestrator.doctor.network import network
from orchestrator.doctor.parsers import parsed
from orchestrator.doctor.rehearsal import rehearsal
from orchestrator.doctor.sheets import Gpu, local_gpu
from orchestrator.plan.make import Plan
from orchestrator.recipe import Recipe


def examine(plan: Plan) -> Iterator[Verdict]:
    """Every check of a plan, the quick ones first."""
    recipe = plan.recipe
    yield True, f"recipe {recipe.name}: {len(plan.stages)} stages can be planned"
    for fault in advice(recipe):
        yield False, fault
    yield from memory(recipe, local_gpu())
    yield from machine(plan)
    yield from network(plan)
    yield from environments(plan)
    yield from parsed(plan)
    yield from rehearsal(plan)


def memory(recipe: Recipe, gpu: Gpu) -> Iterator[Verdict]:
    """Whether each stage fits its GPUs, and what would make it fit."""
    if recipe.cluster.device == "cpu":
        return
    stages = estimate(recipe, gpu)
    if not stages:
        yield None, f"memory: the size of {recipe.model.path} is not known here"
        return
    for stage in stages:
        text = (
            f"memory: {stage.stage} takes {stage.bytes / 1e9:.0f} GB of the {gpu.bytes / 1e9:.0f}"
        )
        text += f" GB of each {gpu.name}"
        if not fits(stage, gpu):
            text += (
                f"; {proposal(recipe, gpu) or 'no override of ours makes it fit: use more GPUs'}"
            )
        yield fits(stage, gpu), text
        if recipe.cluster.address is None:
            import psutil  # not needed to plan

            yield from _host(stage, psutil.virtual_memory().total)
    longest = recipe.rl.longest
    if (room := kv_tokens(recipe, gpu)) < longest:
        yield (
            False,
            (
                f"rl.rollout.gpu_memory_utilization: leaves vLLM a cache of {room} tokens, and one "
                f"response may need {longest}; raise it, or rl.rollout.tensor_parallel"
            ),
        )


def _host(stage: Estimate, here: float) -> Iterator[Verdict]:
    """Whether half the hosts' memory holds the pixel values: workers hold what they read, too."""
    if stage.host:
        text = f"host memory: {stage.stage} moves {stage.host / 1e9:.0f} GB of pixel values a step"
        text += f", and this machine has {here / 1e9:.0f} GB"
        less = "; lower rl.prompts_per_step, rl.group_size or the frames, or use rl.trainer=easyr1"
        right = 2 * stage.host <= here
        yield right, text if right else text + less


def costs(recipe: Recipe) -> Iterator[str]:
    """A line a stage: tokens a step, FLOPs, and on GPUs memory, hours; and the frame cache."""
    gpu = local_gpu()
    for stage in estimate(recipe, gpu):
        yield _cost(stage, gpu, recipe.cluster.device == "cuda")
    yield frame_cache.sizes(recipe)
    if recipe.cluster.device == "cuda":
        yield paper_check()


def _cost(stage: Estimate, gpu: Gpu, on_gpus: bool) -> str:
    text = (
        f"{stage.stage}: {stage.steps:,} steps of {stage.tokens_per_step:,.0f} tokens, "
        f"{stage.flops:.1e} FLOPs"
    )
    if not on_gpus:
        return text
    parts = ", ".join(f"{name} {size / 1e9:.0f}" for name, size in stage.memory.items())
    if stage.host:
        text += f", {stage.host / 1e9:.0f} GB of pixel values"
    return (
        f"{text}; {stage.hours:.1f} h on {stage.devices} {gpu.name}, "
        f"{stage.gpu_hours:.0f} GPU-hours; {stage.bytes / 1e9:.0f} GB a GPU ({parts})"
    )
