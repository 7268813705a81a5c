"""Give the actor the time positions that the rollout used.

verl's agent loop worker computes the training side's M-RoPE ids without the video's seconds per
temporal patch (verl/experimental/agent_loop/agent_loop.py:913), while generation uses them: at any
rate but 2 frames a second the two sides see different positions and the policy gradient is wrong.
The worker asks its processor for `get_rope_index_kwargs` (agent_loop.py:936), an attribute no
Qwen processor has; this loop, which shares the worker's processor, sets it.
"""

from typing import Any

import torch
from verl.experimental.agent_loop.agent_loop import register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

AGENT_LOOP = "video_agent"


def rope_index_kwargs(multi_modal_inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What `get_rope_index` needs beside the grids: seconds per temporal patch, shape (videos,)."""
    seconds = multi_modal_inputs.get("second_per_grid_ts")
    return {} if seconds is None else {"second_per_grid_ts": torch.as_tensor(seconds)}


@register(AGENT_LOOP)
class VideoAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn loop, for videos whose frame rate is known."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.processor.get_rope_index_kwargs = rope_index_kwargs
