"""A still image shown twice is to Qwen2.5-VL what its processor makes of the image itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from data_builders.decoding import decode
from data_builders.specs import FrameSpec

SPEC = FrameSpec(fps=2, min_frames=4, max_frames=8, min_pixels=784, max_pixels=84 * 84)


def next_token(model: Any, processor: Any, kind: str, **media: Any) -> torch.Tensor:
    """Logits of the first token after a question about an image or a video."""
    turn = {"role": "user", "content": [{"type": kind}, {"type": "text", "text": "Which light?"}]}
    text = processor.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    inputs = processor(text=[text], return_tensors="pt", **media)
    return model(**inputs).logits[0, -1]


def test_the_model_can_not_tell_a_still_clip_from_the_image(
    workspace: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (84, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    decoded = decode(tmp_path / "x.png", SPEC)
    model = AutoModelForImageTextToText.from_pretrained(workspace / "model", dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(workspace / "model")
    own = {"do_resize": False}
    with torch.inference_mode():
        image = next_token(model, processor, "image", images=[Image.fromarray(pixels)], **own)
        clip = next_token(
            model,
            processor,
            "video",
            videos=[torch.from_numpy(decoded.frames).permute(0, 3, 1, 2)],
            do_sample_frames=False,
            **own,
        )
    assert torch.allclose(image, clip, atol=1e-5)
    assert image.std() > 0.01
