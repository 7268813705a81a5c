"""What verl's rollout and actor see of each row: `python rl.py <rl.parquet> <model>`."""

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import torch
from transformers import AutoModelForImageTextToText
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer import build_multimodal_processor_inputs, hf_processor

import reward_plugins.verl_plugin.register  # noqa: F401  # as verl itself would
from reward_plugins.verl_plugin.agent_loop import rope_index_kwargs
from reward_plugins.verl_plugin.cpu import generation
from reward_plugins.verl_plugin.dataset import FramesDataset


def messages_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """verl's own replacement of `<video>` by the video item."""
    reader = SimpleNamespace(
        prompt_key="prompt", image_key="images", video_key="videos", audio_key="audios"
    )
    reader.processor = object()
    return list(RLHFDataset._build_messages(reader, dict(row), "prompt"))


def actor_positions(processor: Any, ids: torch.Tensor, inputs: Any) -> torch.Tensor:
    names = ("get_rope_index", "video_token_id", "image_token_id", "tokenizer")
    own = {name: getattr(processor, name) for name in names}
    worker = SimpleNamespace(
        processor=SimpleNamespace(**own, get_rope_index_kwargs=rope_index_kwargs)
    )
    mask = torch.ones_like(ids)
    return AgentLoopWorker._compute_position_ids(worker, ids, mask, dict(inputs))[0, 1:]


def view(row: dict[str, Any], processor: Any, model: Any) -> dict[str, dict[str, Any]]:
    messages = messages_of(row)
    images, videos, _ = asyncio.run(FramesDataset.process_multi_modal_info(messages, 14, None))
    chat = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    inputs = build_multimodal_processor_inputs(
        processor,
        text=[chat],
        images=images,
        videos=videos,
        mm_processor_kwargs={"do_resize": False},
    )
    ids = inputs["input_ids"]
    vision = generation._vision_inputs(
        processor, [generation.Prompt(tuple(ids[0].tolist()), videos, images)], ids
    )
    rollout, _ = model.model.get_rope_index(ids, **vision)
    keys = (*generation.GRIDS, *generation.PIXELS)
    seen = {key: inputs[key].double().tolist() for key in keys if key in inputs}
    sampled = {key: vision[key].double().tolist() for key in keys if key in vision}
    return {
        "rollout": {"ids": ids[0].tolist(), **sampled, "positions": rollout[:, 0].tolist()},
        "actor": {
            "ids": ids[0].tolist(),
            **seen,
            "positions": actor_positions(processor, ids, inputs).tolist(),
        },
    }


if __name__ == "__main__":
    rows = pq.read_table(sys.argv[1]).to_pylist()
    processor = hf_processor(sys.argv[2])
    model = AutoModelForImageTextToText.from_pretrained(sys.argv[2], dtype=torch.float32).eval()
    views = [view(row, processor, model) for row in rows]
    print("FOUND", json.dumps({name: [each[name] for each in views] for name in views[0]}))
