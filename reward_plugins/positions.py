"""One order of time: the M-RoPE ids of Qwen2.5-VL, the same in every process that numbers tokens.

The rule is that of pre-training, which vLLM 0.24 keeps (model_executor/models/qwen2_5_vl.py,
`get_mrope_input_positions`): a patch stands at (its number x seconds x tokens per second), cut to
a whole id at the end, and text goes on after the largest id before it. transformers 5.6 and 5.9
cut the seconds to whole ones first and let text go on after the larger side of a video.

A private hook: `install` puts the rule in the place of `Qwen2_5_VLModel.get_rope_index`, which
LLaMA-Factory's collator (0.9.5, data/collator.py:156), verl's processors (0.9.1, utils/tokenizer/
tokenizer.py:239) and transformers itself ask. Other models, Qwen3-VL among them, keep their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch


def install() -> None:
    """Have this process number the tokens of Qwen2.5-VL by `rope_index`; twice changes nothing."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

    Qwen2_5_VLModel.get_rope_index = rope_index


def rope_index(
    self: Any,
    input_ids: torch.Tensor,
    image_grid_thw: torch.Tensor | None = None,
    video_grid_thw: torch.Tensor | None = None,
    second_per_grid_ts: Sequence[float] | torch.Tensor | None = None,
    attention_mask: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """M-RoPE ids `(3, B, T)` (time, height, width; 0 on padding), and what the next token's id is
    more than its index, `(B, 1)`.

    `self` has the model's `config`; grids `(n, 3)` in patches and the seconds of a temporal patch
    `(videos,)`, 1 where they are not told, are those of the whole batch in order.
    """
    kept = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    media = _media(self.config, image_grid_thw, video_grid_thw, second_per_grid_ts)
    positions = input_ids.new_zeros(3, *input_ids.shape)
    for row, mask in enumerate(kept.bool()):
        ids = input_ids[row, mask].tolist()
        positions[:, row, mask] = _number(ids, media).to(positions.device)
    deltas = positions.amax(dim=(0, 2)) + 1 - kept.bool().sum(dim=1)
    return positions, deltas[:, None]


def _media(
    config: Any, images: Any, videos: Any, seconds: Any
) -> dict[int, Iterator[torch.Tensor]]:
    """The ids of each image and video from 0, by the token that stands for it."""
    vision, videos = config.vision_config, [] if videos is None else videos.tolist()
    # bfloat16, as in vLLM, where the policy is (multimodal/processing/context.py:234); frames of
    # ours tell no more digits, but a container's rate may be off by a last one.
    told = torch.as_tensor([1.0] * len(videos) if seconds is None else seconds)
    paces = (told.bfloat16().double() * vision.tokens_per_second).tolist()
    shown = [(grid, 1.0) for grid in ([] if images is None else images.tolist())]
    merge = vision.spatial_merge_size
    return {
        config.image_token_id: (_grid(grid, pace, merge) for grid, pace in shown),
        config.video_token_id: (
            _grid(grid, pace, merge) for grid, pace in zip(videos, paces, strict=True)
        ),
    }


def _grid(grid: list[int], pace: float, merge: int) -> torch.Tensor:
    """(3, tokens) of one image or video, from 0; `pace` is the distance in time of two patches."""
    sizes = (grid[0], grid[1] // merge, grid[2] // merge)
    ids = torch.stack(torch.meshgrid(*map(torch.arange, sizes), indexing="ij")).flatten(1)
    ids[0] = (ids[0] * torch.tensor(pace, dtype=torch.float64)).long()
    return ids


def _number(ids: list[int], media: dict[int, Iterator[torch.Tensor]]) -> torch.Tensor:
    """(3, tokens) of one unpadded prompt, whose images and videos come next in `media`."""
    blocks, at, start = [torch.empty(3, 0, dtype=torch.long)], 0, 0
    while at < len(ids):
        if ids[at] in media:
            block = next(media[ids[at]])
        else:
            rest = enumerate(ids[at:])
            length = next((n for n, token in rest if token in media), len(ids) - at)
            block = torch.arange(length).expand(3, -1)
        blocks.append(block + start)
        at, start = at + block.shape[1], int(blocks[-1].max()) + 1
    return torch.cat(blocks, dim=1)
