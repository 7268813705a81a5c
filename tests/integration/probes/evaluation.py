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

if __name__ == "__main__":
    samples, index_path, checkpoint = map(Path, sys.argv[1:4])
    sample = read_samples(samples)[0]
    index = FrameIndex.model_validate_json(index_path.read_bytes())
    engine = load(checkpoint, max_new_tokens=1)
    with torch.inference_mode():
        inputs = engine.inputs([make_request(sample, sample.clip, index, PromptSpec())])
        positions, _ = engine.model.model.get_rope_index(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            video_grid_thw=inputs["video_grid_thw"],
            second_per_grid_ts=inputs["second_per_grid_ts"],
            attention_mask=inputs["attention_mask"],
        )
    found = {
        "ids": inputs["input_ids"][0].tolist(),
        "grid": inputs["video_grid_thw"][0].tolist(),
        "positions": positions[:, 0].tolist(),
    }
    print("FOUND", json.dumps(found))
