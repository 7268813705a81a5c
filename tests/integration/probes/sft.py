"""What LLaMA-Factory feeds the model for the first sample: `python sft.py <train.yaml>`."""

import json
import sys

import yaml
from llamafactory.data import (
    SFTDataCollatorWith4DAttentionMask,
    get_dataset,
    get_template_and_fix_tokenizer,
)
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer

from reward_plugins import positions

GRIDS, PIXELS = ("video_grid_thw", "image_grid_thw"), ("pixel_values_videos", "pixel_values")

if __name__ == "__main__":
    positions.install()  # as our launcher does
    with open(sys.argv[1]) as file:
        model_args, data_args, training_args, finetuning_args, _ = get_train_args(
            yaml.safe_load(file)
        )
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    data = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)
    model = load_model(module["tokenizer"], model_args, finetuning_args, is_trainable=True)
    collate = SFTDataCollatorWith4DAttentionMask(
        template=template, model=model, label_pad_token_id=-100, **module
    )
    batch = collate([data["train_dataset"][0]])
    length = int((batch["labels"][0] == -100).int().argmin())  # the prompt bears no loss
    found = {
        "ids": batch["input_ids"][0, :length].tolist(),
        "grids": next(batch[key] for key in GRIDS if key in batch).tolist(),
        "pixels": float(next(batch[key] for key in PIXELS if key in batch).double().sum()),
        "positions": batch["position_ids"][-3:, 0, :length].tolist(),
    }
    print("FOUND", json.dumps(found))
