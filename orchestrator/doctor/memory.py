"""Memory of a training stage: bytes on the fullest GPU, by what takes them."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.doctor.sheets import Backbone, Gpu, backbone
from orchestrator.recipe import Recipe


def sft_state(recipe: Recipe, model: Backbone, devices: int) -> dict[str, float]:
    """Mixed precision: 2 bytes a weight, 2 a gradient, 12 of AdamW (fp32: 4, 4, 8).

    ZeRO-2 divides gradients and AdamW by the devices, ZeRO-3 the weights too.
    """
    stage, tuned = recipe.sft.zero_stage, trained(recipe, model)
    weight, gradient, adam = (2, 2, 12) if recipe.sft.precision == "bf16" else (4, 4, 8)
    return {
        "weights": weight * model.parameters / (devices if stage == 3 else 1),
        "gradients": gradient * tuned / (devices if stage else 1),
        "optimizer": adam * tuned / (devices if stage else 1),
    }


def rl_memory(
    recipe: Recipe, model: Backbone, gpu: Gpu, devices: int
) -> Iterator[dict[str, float]]:
    """Bytes of an update, and of a rollout; the larger is the peak.

    FSDP shards everything: `rl_bytes`, and as much as the weights for gradients and for the
    reference policy. While vLLM holds its share (`gpu_memory_utilization`), there are no gradients.
    """
    rl = recipe.rl
    weight, optimizer = rl_bytes(recipe)
    width = weight * model.parameters / devices
    state = {"weights": width, "optimizer": optimizer * model.parameters / devices}
    if rl.kl.enabled:
        state["reference policy"] = width
    tokens = rl.microbatch_responses * rl.longest
    if rl.dynamic_batching and rl.trainer == "verl":
        tokens = rl.max_tokens_per_device
    inner = activations(model, tokens, rl.gradient_checkpointing)
    yield {**state, "gradients": width, **inner}
    if rl.rollout.engine == "vllm":
        yield {**state, "vLLM": rl.rollout.gpu_memory_utilization * gpu.bytes}


def rl_bytes(recipe: Recipe) -> tuple[int, int]:
    """Of a weight and of its AdamW in RL: two moments, and EasyR1's rounding errors in bf16."""
    if recipe.rl.optimizer_precision == "fp32":
        return 4, 8
    return 2, 6 if recipe.rl.trainer == "easyr1" else 4


def pixel_bytes(recipe: Recipe, visual: int) -> float:
    """Host bytes of a step's pixel values under verl, whose queue holds those of a prompt with each
    response: 4 bytes x 6 multiple^2 values a visual token, in all samples of the batch. EasyR1
    sends the frames' paths.
    """
    rl = recipe.rl
    a_token = 4 * 6 * (rl.frames or recipe.frames).multiple ** 2
    responses = rl.prompts_per_step * rl.group_size
    return responses * visual * a_token if rl.trainer == "verl" else 0.0


def kv_tokens(recipe: Recipe, gpu: Gpu) -> int:
    """Tokens that vLLM's KV cache holds: its share of memory, less the weights and 5 GB."""
    model, rollout = backbone(recipe), recipe.rl.rollout
    if model is None:
        return 0
    weights = 2 * model.parameters / rollout.tensor_parallel
    free = rollout.gpu_memory_utilization * gpu.bytes - weights - 5e9
    return max(0, int(free * rollout.tensor_parallel / model.kv_bytes))


def activations(model: Backbone, tokens: int, recompute: bool) -> dict[str, float]:
    """2 bytes x hidden x tokens kept a layer (12 times that without recomputation), one layer's
    inner values (2 bytes x (8 hidden + 3 intermediate) a token), and 10 bytes a logit: bf16, its
    fp32 copy and that one's gradient.
    """
    kept = 2 * model.hidden * tokens * model.layers * (1 if recompute else 12)
    inner = 2 * tokens * (8 * model.hidden + 3 * model.intermediate)
    return {"activations": kept + inner, "logits": 10.0 * tokens * model.vocabulary}


def trained(recipe: Recipe, model: Backbone) -> int:
    """Parameters that SFT changes."""
    language = 0 if recipe.sft.freeze_language_model else model.language
    return language + (0 if recipe.sft.freeze_vision_tower else model.vision)
