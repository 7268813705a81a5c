"""verl's forward pass over micro-batches that show images, videos, both and nothing."""

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from verl.models.transformers import qwen2_vl
from verl.utils.model import extract_multi_modal_inputs
from verl.utils.tokenizer import build_multimodal_processor_inputs

from reward_plugins import vision

KINDS = {"image": "i", "images": "ii", "video": "v", "both": "iv", "text": "", "placed": "viv"}


@pytest.fixture(scope="module")
def rows(processor: Any) -> dict[str, dict[str, torch.Tensor]]:
    """What the processor makes of a question that shows each kind."""
    return {name: row(processor, shown, len(name)) for name, shown in KINDS.items()}


def row(processor: Any, shown: str, seed: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    parts = [{"type": {"i": "image", "v": "video"}[kind]} for kind in shown]
    turn = {"role": "user", "content": [*parts, {"type": "text", "text": "Which way?"}]}
    chat = processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
    images = [
        Image.fromarray(rng.integers(0, 256, (56, 28 * (2 + n), 3), dtype=np.uint8))
        for n in range(shown.count("i"))
    ]
    told = {"fps": 2.0, "total_num_frames": 4, "frames_indices": list(range(4)), "duration": 2.0}
    frames = rng.integers(0, 256, (shown.count("v"), 4, 3, 56, 56), dtype=np.uint8)
    videos = [(torch.from_numpy(each), told) for each in frames]
    inputs = build_multimodal_processor_inputs(
        processor,
        text=[chat],
        images=images or None,
        videos=videos or None,
        mm_processor_kwargs={"do_resize": False},
    )
    kept = ("input_ids", "pixel_values", "pixel_values_videos", "image_grid_thw", "video_grid_thw")
    return {key: torch.as_tensor(inputs[key]) for key in kept if key in inputs}


def embeds(module: Any, model: Any, batch: list[dict[str, torch.Tensor]]) -> torch.Tensor:
    """The embeddings of a packed micro-batch, as verl's engine hands it over."""
    media = [{key: value for key, value in row.items() if key != "input_ids"} for row in batch]
    ids = torch.cat([row["input_ids"] for row in batch], dim=1)
    with torch.no_grad():
        found: torch.Tensor = module._get_input_embeds(
            model.model, ids, None, **extract_multi_modal_inputs(media)
        )[0]
    return found


@pytest.fixture
def runs(model: Any) -> Iterator[list[int]]:
    """A number for each run of the tower."""
    counted: list[int] = []
    hook = model.model.visual.register_forward_hook(lambda *_: counted.append(1))
    yield counted
    hook.remove()


@pytest.fixture(scope="module")
def stock() -> Any:
    """verl's module as it comes, without our hook."""
    assert qwen2_vl._get_input_embeds is vision.embed  # `register` was imported
    spec = importlib.util.find_spec("verl.models.transformers.qwen2_vl")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "text"])
def test_what_is_shown_is_seen_as_by_verl(
    model: Any, rows: dict[str, Any], stock: Any, runs: list[int], kind: str
) -> None:
    ours = embeds(qwen2_vl, model, [rows[kind]])
    assert len(runs) == 1
    assert torch.allclose(ours, embeds(stock, model, [rows[kind]]), atol=1e-5)


def test_a_batch_of_texts_passes_where_verl_fails(
    model: Any, rows: dict[str, Any], stock: Any, runs: list[int]
) -> None:
    ids = rows["text"]["input_ids"]
    ours = embeds(qwen2_vl, model, [rows["text"]])
    assert len(runs) == 1  # or a device whose rows show nothing would not join in
    assert torch.equal(ours, model.get_input_embeddings()(ids))
    with pytest.raises(AttributeError, match="mean"):
        embeds(stock, model, [rows["text"]])


def test_rows_of_all_kinds_are_seen_together_as_alone(
    model: Any, rows: dict[str, Any], runs: list[int]
) -> None:
    together = embeds(qwen2_vl, model, list(rows.values()))
    assert len(runs) == 1
    alone = torch.cat([embeds(qwen2_vl, model, [row]) for row in rows.values()], dim=1)
    assert torch.allclose(together, alone, atol=1e-5)


def test_media_that_no_token_stands_for_are_an_error(model: Any, rows: dict[str, Any]) -> None:
    odd = {**rows["image"], "input_ids": rows["text"]["input_ids"]}
    with pytest.raises(ValueError, match="0 tokens of id"):
        embeds(qwen2_vl, model, [odd])
