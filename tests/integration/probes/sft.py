"""What LLaMA-Factory feeds the model for each sample: `python sft.py <train.yaml>`."""

import json
import sys
from typing import Any

import yaml
from llamafactory.data import (
    SFTDataCollatorWith4DAttentionMask,
    get_dataset,
    get_template_and_fix_tokenizer,
)
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer

from reward_plugins import positions

VISION = ("image_grid_thw", "video_grid_thw", "pixel_values", "pixel_values_videos")


def view(batch: dict[str, Any], row: int) -> dict[str, Any]:
    """The prompt of a row: the response bears a loss, and behind it stands padding."""
    length = int((batch["labels"][row] == -100).int().argmin())
    return {
        "ids": batch["input_ids"][row, :length].tolist(),
        "positions": batch["position_ids"][-3:, row, :length].tolist(),
    }


def vision(batch: dict[str, Any]) -> dict[str, Any]:
    return {key: batch[key].double().tolist() for key in VISION if key in batch}


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
    rows = list(data["train_dataset"])
    alone, together = [collate([dict(row)]) for row in rows], collate([dict(row) for row in rows])
    found = {
        "sft": [{**view(batch, 0), **vision(batch)} for batch in alone],
        "batch": {"rows": [view(together, n) for n in range(len(rows))], **vision(together)},
    }
    print("FOUND", json.dumps(found))
