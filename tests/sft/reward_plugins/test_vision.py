"""LLaMA-Factory's model sees a batch of all kinds as alone, with one run of the vision tower."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

from data_builders.sample import write_samples
from data_builders.specs import FrameSpec, PromptSpec, TinyModelSpec
from data_builders.tiny_model import TinyModelConfig, build
from reward_plugins import vision
from tests.givens import question

FRAMES = FrameSpec(fps=2, min_frames=2, max_frames=8, min_pixels=784, max_pixels=12544)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    write_samples(root / "samples.parquet", [question(observation="o", think="t")])
    config = TinyModelConfig(
        model=TinyModelSpec(initializer_range=0.2),
        prompt=PromptSpec(),
        frames=FRAMES,
        samples=root / "samples.parquet",
        out=root / "model",
    )
    build(config)
    return config.out


def asked(checkpoint: Path, *shown: str) -> dict[str, Any]:
    processor, random = AutoProcessor.from_pretrained(checkpoint), torch.Generator().manual_seed(0)
    content = [*({"type": kind} for kind in shown), {"type": "text", "text": "Which way?"}]
    turn = {"role": "user", "content": content}
    text = processor.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    picture = torch.randint(0, 256, (4, 3, 56, 84), generator=random, dtype=torch.uint8)
    return dict(
        processor(
            text=[text],
            images=[picture[0]] * shown.count("image") or None,
            videos=[picture] * shown.count("video") or None,
            do_sample_frames=False,
            return_tensors="pt",
        )
    )


@pytest.mark.parametrize("shown", [("image", "video"), ("video", "image", "video"), ("image",), ()])
def test_logits_and_gradients_are_transformers_own(
    checkpoint: Path, shown: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Qwen2_5_VLModel, "forward", Qwen2_5_VLModel.forward)
    model = AutoModelForImageTextToText.from_pretrained(checkpoint).train()
    inputs, runs = asked(checkpoint, *shown), []
    model.model.visual.register_forward_hook(lambda *_: runs.append(1))

    def learn() -> tuple[torch.Tensor, torch.Tensor | None]:
        model.zero_grad()
        logits = model(**inputs).logits
        logits.square().mean().backward()
        gradient = model.model.visual.patch_embed.proj.weight.grad
        return logits.detach(), None if gradient is None else gradient.clone()

    theirs = learn()
    assert len(runs) == len(set(shown))
    vision.install()
    vision.install()
    ours = learn()
    assert len(runs) - len(set(shown)) == min(1, len(set(shown)))
    assert torch.allclose(ours[0], theirs[0], atol=1e-5)
    assert (ours[1] is None) == (theirs[1] is None) == (not shown)
    assert theirs[1] is None or torch.allclose(ours[1], theirs[1], rtol=1e-3, atol=1e-7)
