"""The frame rate of a video, for a rollout that EasyR1 hands bare frames.

EasyR1 numbers the training side by each clip's own rate (b44b311, verl/utils/dataset.py:260), but
the processor in vLLM 0.11 takes 2 frames a second for granted (transformers 4.57, processing_
qwen2_5_vl.py:151), unless a prompt names another: at 1 frame a second frames were at 3, 7, 11 in
training and at 3, 5, 7 in the rollout. Qwen3-VL gets its metadata from EasyR1 itself.

Private to EasyR1: `process_video` of verl/utils/dataset.py (80), through which all of it reads
clips, and the `LLM` of verl/workers/rollout/vllm_rollout_spmd.py (122).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast

DATASET, ROLLOUT = "verl.utils.dataset", "verl.workers.rollout.vllm_rollout_spmd"


def remember(dataset: ModuleType) -> None:
    """Have the frames that `process_video` reads know their rate: `sampled_fps`."""
    module = cast(Any, dataset)
    read = module.process_video

    def process_video(*args: Any, return_fps: bool = False, **kwargs: Any) -> Any:
        video, fps = read(*args, return_fps=True, **kwargs)
        frames = video[0] if isinstance(video, tuple) else video
        frames.sampled_fps = fps
        return (video, fps) if return_fps else video

    module.process_video = process_video


def name_again(rollout: ModuleType) -> None:
    """Have the rollout's engine name the rate of each prompt's videos to its processor."""
    module = cast(Any, rollout)

    class LLM(module.LLM):  # type: ignore[misc, name-defined]
        def generate(self, prompts: Any, *args: Any, **kwargs: Any) -> Any:
            return super().generate([with_rates(each) for each in prompts], *args, **kwargs)

    module.LLM = LLM


def with_rates(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt, with the rate of its bare videos as an argument of the processor."""
    videos = (prompt.get("multi_modal_data") or {}).get("video", [])
    rates = [video.sampled_fps for video in videos if not isinstance(video, tuple)]
    if not rates:
        return prompt
    return {**prompt, "mm_processor_kwargs": {"fps": rates[0] if len(rates) == 1 else rates}}
