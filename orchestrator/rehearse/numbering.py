"""Do all number tokens in time alike? `numbering.py <questions> <frames.json> <checkpoint>`.

In the environment of vLLM, which numbers by a rule of its own in rollouts and in evaluation; SFT,
verl's actor and generation by Hugging Face ask `reward_plugins.positions`. Prints what it finds as
JSON, behind `FOUND`. A private hook: the arguments of vLLM 0.24's `get_mrope_input_positions`.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoConfig, AutoProcessor
from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration as Theirs

from data_builders.frames import FrameIndex
from data_builders.sample import Sample, read_samples
from data_builders.specs import PromptSpec
from orchestrator.evaluation.engines import Request, make_request
from reward_plugins.positions import rope_index

MOST = 8
"""Prompts that are compared."""
AS_THEY_ARE = {"do_sample_frames": False, "do_resize": False}
GRIDS = ("image_grid_thw", "video_grid_thw", "second_per_grid_ts")


def furthest(request: Request, processor: Any, config: Any) -> int:
    """The largest difference between the two numberings of one prompt."""
    inputs = _inputs(request, processor)
    ids = inputs["input_ids"]
    own = SimpleNamespace(config=config)
    ours = rope_index(own, ids, **{key: inputs[key] for key in GRIDS if key in inputs})[0][:, 0]
    own.iter_mm_grid_thw = lambda features: Theirs.iter_mm_grid_thw(own, features)
    features = list(_features(ids[0].tolist(), inputs, processor))
    theirs, _ = Theirs.get_mrope_input_positions(own, ids[0].tolist(), features)
    return int((ours - theirs).abs().max())


def _inputs(request: Request, processor: Any) -> dict[str, Any]:
    shown = {
        kind: [c for c in request.clips if c.meta.shown == kind] for kind in ("video", "image")
    }
    text = processor.apply_chat_template(
        request.messages(), tokenize=False, add_generation_prompt=True
    )
    videos = [torch.from_numpy(clip.frames).permute(0, 3, 1, 2) for clip in shown["video"]]
    images = [frame for clip in shown["image"] for frame in clip.frames]
    metadata = [clip.meta.metadata() for clip in shown["video"]]
    told = {"videos": videos, "video_metadata": metadata} if videos else {}
    pictures = {"images": images} if images else {}
    return dict(processor(text=[text], **told, **pictures, **AS_THEY_ARE, return_tensors="pt"))


def _features(ids: list[int], inputs: dict[str, Any], processor: Any) -> Any:
    """What vLLM knows of each video and image of a prompt, in order."""
    for kind in ("video", "image"):
        pad, grids = getattr(processor, f"{kind}_token_id"), inputs.get(f"{kind}_grid_thw", ())
        starts = (at for at, token in enumerate(ids) if token == pad and ids[at - 1] != pad)
        for number, (at, grid) in enumerate(zip(starts, grids, strict=True)):
            data = {f"{kind}_grid_thw": SimpleNamespace(data=grid)}
            if kind == "video":
                seconds = torch.as_tensor(inputs["second_per_grid_ts"][number]).bfloat16()
                data["second_per_grid_ts"] = SimpleNamespace(data=seconds)
            place = SimpleNamespace(offset=at)
            yield SimpleNamespace(modality=kind, mm_position=place, data=data)


def main(questions: str, frames: str, checkpoint: str) -> None:
    """Compare the numberings of the first prompts."""
    index = FrameIndex.model_validate_json(Path(frames).read_bytes())
    processor = AutoProcessor.from_pretrained(checkpoint)
    config = AutoConfig.from_pretrained(checkpoint)
    samples: list[Sample] = list(islice(read_samples(Path(questions)), MOST))
    requests = (make_request(s, s.media, index, PromptSpec()) for s in samples)
    apart = [furthest(request, processor, config) for request in requests]
    sys.stdout.write(f"FOUND {json.dumps({'prompts': len(apart), 'furthest': max(apart)})}\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
