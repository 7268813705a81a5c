"""Is a merged checkpoint what was trained? Compare its weights and its logits with the source's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reward_plugins.errors import CamReasonerError

QUESTION = "Does the camera pan left? Answer yes or no."
IMAGE_SIDE = 56
"""Pixels: two by two visual tokens of Qwen2.5-VL."""
MOST_KL = 0.05
"""Nats a token that a cast to a narrower type may cost; one lost layer costs whole nats."""
NEEDED = ("config.json", "generation_config.json", "tokenizer_config.json")


class MergeError(CamReasonerError, ValueError):
    """A checkpoint that can't be merged, or that came out other than it was trained."""


def encode(directory: Path) -> dict[str, Tensor]:
    """A short question about a small image, by the checkpoint's own processor and template.

    Raises `MergeError` where one of them is missing.
    """
    from PIL import Image
    from transformers import AutoProcessor

    missing = [name for name in NEEDED if not (directory / name).is_file()]
    if missing:
        raise MergeError(f"{directory} lacks {', '.join(missing)}: the trainer did not save them")
    processor = AutoProcessor.from_pretrained(directory)
    if not getattr(processor, "chat_template", None):
        raise MergeError(f"{directory} has no chat template: the trainer did not save it")
    gradient = bytes(range(256)) * (3 * IMAGE_SIDE * IMAGE_SIDE // 256 + 1)
    size = (IMAGE_SIDE, IMAGE_SIDE)
    image = Image.frombytes("RGB", size, gradient[: 3 * IMAGE_SIDE * IMAGE_SIDE])
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    return dict(processor(text=[text], images=[image], return_tensors="pt"))


@torch.inference_mode()
def logits(model: Any, prompt: dict[str, Tensor]) -> Tensor:
    """Log-probabilities of every next token, (tokens, vocabulary), in float32."""
    return model.eval()(**prompt).logits[0].float().log_softmax(-1)


def compare(
    directory: Path, weights: dict[str, Tensor], prompt: dict[str, Tensor], dtype: torch.dtype
) -> dict[str, Any]:
    """Load the written checkpoint, and hold its weights and logits against those of `weights`.

    Raises `MergeError` for a weight that is not the trained one cast to `dtype`, and for logits
    further away than the cast explains: not at all without one.
    """
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(directory, dtype="auto")
    state, count = model.state_dict(), sum(p.numel() for p in model.parameters())
    other = [k for k in weights if not torch.equal(state[k], weights[k].to(dtype))]
    if other or len(state) != len(weights):
        raise MergeError(f"{directory}: written other than trained: {', '.join(other[:4])}")
    written = logits(model, prompt)
    model.load_state_dict(weights, assign=True)
    trained = logits(model, prompt)
    exact = all(tensor.dtype == dtype for tensor in weights.values())
    kl = float((trained.exp() * (trained - written)).sum(-1).mean())
    if kl > MOST_KL or (exact and not torch.equal(trained, written)):
        raise MergeError(
            f"{directory}: logits are {kl:.3g} nats a token away from those of the weights as "
            "trained; choose rl.merge_dtype=fp32"
        )
    return {
        "parameters": count,
        "trained_in": sorted({str(t.dtype).removeprefix("torch.") for t in weights.values()}),
        "written_in": json.loads((directory / "config.json").read_text())["dtype"],
        "weights_differing": len(other),
        "prompt_tokens": len(trained),
        "logprob_largest_difference": float((trained - written).abs().max()),
        "kl_nats_per_token": kl,
        "same_first_choice": float((trained.argmax(-1) == written.argmax(-1)).float().mean()),
    }
