"""Give the actor the time positions that the rollout used.

verl's agent loop worker computes the training side's M-RoPE ids without the video's seconds per
temporal patch (verl/experimental/agent_loop/agent_loop.py:913), while generation uses them: at any
rate but 2 frames a second the two sides see other positions and the policy gradient is wrong.
vLLM moreover has a rule of its own. `follow_rollout` gives the worker's processor the attribute
`get_rope_index_kwargs`, which the worker asks for (agent_loop.py:936) and no Qwen processor has,
and for vLLM its `get_rope_index` too.
"""

from functools import partial
from typing import Any

import torch


def follow_rollout(processor: Any, rollout: str) -> None:
    """Let verl's agent loop worker number positions as the engine `rollout` does."""
    processor.get_rope_index_kwargs = rope_index_kwargs
    if rollout == "vllm":
        processor.get_rope_index = partial(vllm_rope_index, processor)


def rope_index_kwargs(multi_modal_inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What `get_rope_index` needs beside the grids: seconds per temporal patch, shape (videos,)."""
    seconds = multi_modal_inputs.get("second_per_grid_ts")
    return {} if seconds is None else {"second_per_grid_ts": torch.as_tensor(seconds)}


def vllm_rope_index(
    processor: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    video_grid_thw: torch.Tensor | None = None,
    second_per_grid_ts: torch.Tensor | None = None,
    image_grid_thw: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """M-RoPE ids (3, 1, T) of one unpadded sequence (1, T), as vLLM 0.24 numbers them.

    Unlike transformers 5.9, vLLM keeps the fraction of seconds per patch, and text goes on after
    the video's largest id in any dimension (vllm/model_executor/models/qwen2_5_vl.py,
    `get_mrope_input_positions`).
    """
    if input_ids.shape[0] != 1 or not attention_mask.all():
        raise ValueError(f"want one unpadded sequence, have a batch of shape {input_ids.shape}")
    vision = processor.config.vision_config
    images = [] if image_grid_thw is None else image_grid_thw.tolist()
    videos = [] if video_grid_thw is None else video_grid_thw.tolist()
    seconds = [1.0] * len(videos) if second_per_grid_ts is None else second_per_grid_ts.tolist()
    paces = [second * vision.tokens_per_second for second in seconds]
    media = {
        processor.image_token_id: iter([(grid, 1.0) for grid in images]),
        processor.video_token_id: iter(zip(videos, paces, strict=True)),
    }
    ids, at = input_ids[0].tolist(), 0
    blocks: list[torch.Tensor] = []
    while at < len(ids):
        if ids[at] in media:
            grid, pace = next(media[ids[at]])
            block = _visual_ids(grid, pace, vision.spatial_merge_size)
        else:
            rest = enumerate(ids[at:])
            length = next((n for n, token in rest if token in media), len(ids) - at)
            block = torch.arange(length).expand(3, -1)
        blocks.append(block + (int(blocks[-1].max()) + 1 if blocks else 0))
        at += block.shape[1]
    return torch.cat(blocks, dim=1)[:, None], None


def _visual_ids(grid: list[int], pace: float, merge: int) -> torch.Tensor:
    """(3, tokens) of one video or image, from 0; `pace` is the distance in time of two patches."""
    sizes = (grid[0], grid[1] // merge, grid[2] // merge)
    ids = torch.stack(torch.meshgrid(*map(torch.arange, sizes), indexing="ij")).flatten(1)
    ids[0] = (ids[0] * pace).long()
    return ids
