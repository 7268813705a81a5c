"""Rows of all kinds in one batch: Qwen2.5-VL's vision tower runs once, whatever the batch shows.

transformers 5.6 to 5.9 runs it once for a batch's images and once for its videos. Where the tower
is sharded (FSDP, ZeRO-3) every run gathers weights from all devices: one whose rows show both waits
for ever for one whose rows show less. verl 0.9.1 does the same, and fails on a batch that shows
nothing (models/transformers/qwen2_vl.py:394, for the tower's output is no tensor any more).

Private hooks, one a trainer: `install` gives `Qwen2_5_VLModel.forward` the embeddings where a batch
shows both, which is LLaMA-Factory's way; `verl_plugin.register` puts `embed` in the place of verl's
`_get_input_embeds`. Qwen3-VL keeps its own.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch

BLANK = [1, 4, 4]
"""Grid of the image that the tower is shown where a batch shows nothing."""


def install() -> None:
    """Have this process run the tower of Qwen2.5-VL once a batch; twice changes nothing."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

    own = Qwen2_5_VLModel.forward
    if getattr(own, "sees_once", False):
        return

    @wraps(own)
    def forward(self: Any, input_ids: Any = None, attention_mask: Any = None, **given: Any) -> Any:
        shown = {key: given.get(key) for key in ("pixel_values", "pixel_values_videos")}
        if all(pixels is not None for pixels in shown.values()):
            grids = {key: given[key] for key in ("image_grid_thw", "video_grid_thw")}
            given["inputs_embeds"], _ = embed(self, input_ids, **shown, **grids)
            given |= dict.fromkeys(shown)
        return own(self, input_ids=input_ids, attention_mask=attention_mask, **given)

    forward.sees_once = True  # type: ignore[attr-defined]
    Qwen2_5_VLModel.forward = forward


def embed(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    pixel_values: torch.Tensor | None = None,
    pixel_values_videos: torch.Tensor | None = None,
    image_grid_thw: torch.Tensor | None = None,
    video_grid_thw: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Embeddings `(..., hidden)` of text and media, from one run of the tower, and the mask.

    `ValueError` where media and the tokens that stand for them are not as many.
    """
    given = [
        (model.config.image_token_id, pixel_values, image_grid_thw),
        (model.config.video_token_id, pixel_values_videos, video_grid_thw),
    ]
    shown = [(token, px, grid) for token, px, grid in given if px is not None and grid is not None]
    _, pixels, grids = zip(*(shown or [_blank(model, input_ids.device)]), strict=True)
    tower, embeds = model.visual, model.get_input_embeddings()(input_ids)
    seen = tower(torch.cat(pixels).type(tower.dtype), grid_thw=torch.cat(grids)).pooler_output
    if not shown:
        return embeds + 0.0 * seen.mean(), attention_mask
    counts = [int(grid.prod(-1).sum()) // tower.spatial_merge_size**2 for grid in grids]
    for (token, _, _), own in zip(shown, seen.to(embeds).split(counts), strict=True):
        places = input_ids == token
        if int(places.sum()) != len(own):
            raise ValueError(f"{int(places.sum())} tokens of id {token} stand for {len(own)}")
        embeds = embeds.masked_scatter(places[..., None], own)
    return embeds, attention_mask


def _blank(model: Any, device: torch.device) -> tuple[int, torch.Tensor, torch.Tensor]:
    vision, grid = model.config.vision_config, torch.tensor([BLANK], device=device)
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    return 0, torch.zeros(int(grid.prod()), width, device=device), grid
