"""What the evaluation feeds the model: `evaluation.py <samples> <frame index> <model>`."""

import json
import sys
from pathlib import Path

import torch

from data_builders.frames import FrameIndex
from data_builders.sample import read_samples
from data_builders.specs import PromptSpec
from orchestrator.evaluation.engines import make_request
from orchestrator.evaluation.engines.hf import load

GRIDS = ("video_grid_thw", "image_grid_thw")

if __name__ == "__main__":
    samples, index_path, checkpoint = map(Path, sys.argv[1:4])
    sample = read_samples(samples)[0]
    index = FrameIndex.model_validate_json(index_path.read_bytes())
    engine = load(checkpoint, max_new_tokens=1)
    with torch.inference_mode():
        inputs = engine.inputs([make_request(sample, sample.media, index, PromptSpec())])
        named = {key: value for key, value in inputs.items() if key != "inputs_embeds"}
        positions, _ = engine.model.model.get_rope_index(**named)
    found = {
        "ids": inputs["input_ids"][0].tolist(),
        "grids": next(inputs[key] for key in GRIDS if key in inputs).tolist(),
        "positions": positions[:, 0].tolist(),
    }
    print("FOUND", json.dumps(found))
