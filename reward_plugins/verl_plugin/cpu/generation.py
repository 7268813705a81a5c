"""Sample many responses with one padded Hugging Face `generate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList
from verl.utils.tokenizer import build_multimodal_processor_inputs

VISION_TOKENS = ["image_pad", "video_pad", "vision_start", "vision_end", "vision_pad"]
PLACEHOLDER = "<|vision_start|><|{}_pad|><|vision_end|>"
GRIDS = ("image_grid_thw", "video_grid_thw")
PIXELS = ("pixel_values", "pixel_values_videos")


@dataclass(frozen=True)
class Prompt:
    """Token ids with the placeholders already expanded, and the media they stand for."""

    ids: tuple[int, ...]
    videos: Sequence[tuple[torch.Tensor, dict[str, Any]]] | None = None
    images: Sequence[Any] | None = None


@dataclass(frozen=True)
class Response:
    """Sampled token ids and the log-probability of each under the policy."""

    ids: list[int]
    log_probs: list[float]


class SeededSampling(LogitsProcessor):
    """Turn greedy decoding into sampling that depends on each row's own seed only.

    A row's tokens are where its uniform numbers fall in the cumulated distribution. The numbers
    come from a generator of its own, so neither the order of requests nor the other rows of a
    batch change a response.
    """

    def __init__(
        self, seeds: Sequence[int], max_tokens: int, temperature: float, suppressed: Sequence[int]
    ) -> None:
        self.uniform = torch.stack([_uniform(seed, max_tokens) for seed in seeds])
        self.temperature = temperature
        self.suppressed = list(suppressed)
        self.log_probs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of shape (rows, vocabulary) whose argmax is the sample (T = 0: the mode)."""
        log_probs = torch.log_softmax(scores / (self.temperature or 1.0), dim=-1)
        allowed = log_probs.clone()
        allowed[:, self.suppressed] = -torch.inf
        chosen = self._choose(allowed)
        # As vLLM's raw log-probabilities: not renormalised, or they would never equal the actor's.
        self.log_probs.append(log_probs.gather(-1, chosen).squeeze(-1))
        return torch.full_like(scores, -torch.inf).scatter_(-1, chosen, 0.0)

    def _choose(self, log_probs: torch.Tensor) -> torch.Tensor:
        if not self.temperature:
            return log_probs.argmax(-1, keepdim=True)
        cumulated = log_probs.double().exp().cumsum(-1)
        point = self.uniform[:, len(self.log_probs), None] * cumulated[:, -1:]
        return torch.searchsorted(cumulated, point, right=True)


def _uniform(seed: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, dtype=torch.float64, generator=generator)


@torch.no_grad()
def sample(
    model: Any,
    processor: Any,
    prompts: Sequence[Prompt],
    rows: Sequence[int],
    seeds: Sequence[int],
    temperature: float,
    max_tokens: int,
) -> list[Response]:
    """One response for each of `rows` (indices into `prompts`), at most `max_tokens` long.

    Each prompt passes the vision tower and the prefill once, however many rows share it.
    """
    ids, mask = _left_pad([prompt.ids for prompt in prompts], processor.tokenizer.pad_token_id)
    cache, deltas = _prefill(model, ids, mask, _vision_inputs(processor, prompts, ids))
    index = torch.tensor(rows)
    cache.reorder_cache(index)
    model.model.rope_deltas = deltas[index]
    sampling = SeededSampling(seeds, max_tokens, temperature, _suppressed(processor.tokenizer))
    sequences = model.generate(
        input_ids=ids[index],
        attention_mask=mask[index],
        past_key_values=cache,
        max_new_tokens=max_tokens,
        do_sample=False,
        logits_processor=LogitsProcessorList([sampling]),
    )
    return _responses(sequences[:, ids.shape[1] :], sampling.log_probs, _ends(model))


def _left_pad(ids: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, ids))
    padded = [[pad] * (width - len(row)) + list(row) for row in ids]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in ids]
    return torch.tensor(padded), torch.tensor(mask)


def _vision_inputs(
    processor: Any, prompts: Sequence[Prompt], ids: torch.Tensor
) -> dict[str, torch.Tensor]:
    images = [image for prompt in prompts for image in prompt.images or ()]
    videos = [video for prompt in prompts for video in prompt.videos or ()]
    if not images and not videos:
        return {}
    shown = PLACEHOLDER.format("image") * len(images) + PLACEHOLDER.format("video") * len(videos)
    inputs = build_multimodal_processor_inputs(
        processor,
        text=[shown],
        images=images or None,
        videos=videos or None,
        mm_processor_kwargs={"do_resize": False},
    )
    types = _types(processor, ids)
    expected, found = (
        t.flatten().bincount(minlength=3)[1:].tolist()
        for t in (_types(processor, inputs.input_ids), types)
    )
    if expected != found:
        raise ValueError(f"prompts hold {found} image and video tokens, their media {expected}")
    kept = (*PIXELS, *GRIDS, "second_per_grid_ts")
    given = {key: torch.as_tensor(inputs[key]) for key in kept if key in inputs}
    return {**given, "mm_token_type_ids": types}


def _types(processor: Any, ids: torch.Tensor) -> torch.Tensor:
    """For each token: 1 of an image, 2 of a video, 0 of text, as `mm_token_type_ids`."""
    return (ids == processor.image_token_id).long() + (ids == processor.video_token_id).long() * 2


def _prefill(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, vision: dict[str, torch.Tensor]
) -> tuple[Any, torch.Tensor]:
    """The cache of all but the last token, and what turns a token's index into its position."""
    grids = {key: value for key, value in vision.items() if key not in PIXELS}
    positions, deltas = model.model.get_rope_index(ids, attention_mask=mask, **grids)
    pixels = {key: vision[key] for key in (*PIXELS, *GRIDS) if key in vision}
    output = model(
        input_ids=ids[:, :-1],
        attention_mask=mask[:, :-1],
        position_ids=positions[:, :, :-1],
        use_cache=True,
        logits_to_keep=1,
        **pixels,
    )
    return output.past_key_values, deltas


def _suppressed(tokenizer: Any) -> list[int]:
    """Tokens that would stand for a video in the answer; verl can't place them."""
    return tokenizer.convert_tokens_to_ids([f"<|{name}|>" for name in VISION_TOKENS])


def _ends(model: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}


def _responses(
    tokens: torch.Tensor, log_probs: list[torch.Tensor], ends: set[int]
) -> list[Response]:
    rows = zip(tokens.tolist(), torch.stack(log_probs, dim=1).tolist(), strict=True)
    return [Response(ids[: (n := _length(ids, ends))], logp[:n]) for ids, logp in rows]


def _length(ids: list[int], ends: set[int]) -> int:
    return next((i + 1 for i, token in enumerate(ids) if token in ends), len(ids))
