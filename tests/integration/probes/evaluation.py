"""What the evaluation feeds the model: `evaluation.py <samples> <frame index> <model>`."""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from data_builders.frames import FrameIndex
from data_builders.sample import read_samples
from data_builders.specs import PromptSpec
from orchestrator.evaluation.engines import Clip, Request, make_request
from orchestrator.evaluation.engines.hf import HuggingFaceEngine, load

GRIDS = ("image_grid_thw", "video_grid_thw")


def view(engine: HuggingFaceEngine, request: Request) -> dict[str, Any]:
    with torch.inference_mode():
        inputs = engine.inputs([request])
        named = {key: value for key, value in inputs.items() if key != "inputs_embeds"}
        positions, _ = engine.model.model.get_rope_index(**named)
    return {
        "ids": inputs["input_ids"][0].tolist(),
        "positions": positions[:, 0].tolist(),
        **{key: inputs[key].double().tolist() for key in GRIDS if key in inputs},
        **{key: pixels.double().tolist() for key, pixels in pixels_of(engine, request).items()},
    }


def pixels_of(engine: HuggingFaceEngine, request: Request) -> dict[str, torch.Tensor]:
    """What the vision tower is given of a request, by the name it has in training."""
    given: dict[str, list[torch.Tensor]] = defaultdict(list)
    tower = engine.model.model.visual.forward
    names = {"image": "pixel_values", "video": "pixel_values_videos"}
    for clip in request.clips:

        def see(pixels: torch.Tensor, clip: Clip = clip, **grids: Any) -> Any:
            given[names[clip.meta.shown]].append(pixels)
            return tower(pixels, **grids)

        engine.model.model.visual.forward = see
        engine._see(clip)
    engine.model.model.visual.forward = tower
    return {name: torch.cat(pixels) for name, pixels in given.items()}


if __name__ == "__main__":
    samples, index_path, checkpoint = map(Path, sys.argv[1:4])
    index = FrameIndex.model_validate_json(index_path.read_bytes())
    engine = load(checkpoint, max_new_tokens=1)
    found = [
        view(engine, make_request(sample, sample.media, index, PromptSpec()))
        for sample in read_samples(samples)
    ]
    print("FOUND", json.dumps(found))
