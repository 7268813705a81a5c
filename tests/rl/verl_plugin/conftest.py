"""A small random Qwen2.5-VL, clips of noise at several rates, and verl's rows about them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reward_plugins.verl_plugin.register  # noqa: F401  # as verl itself would
from data_builders.sample import write_samples
from data_builders.specs import FrameSpec, PromptSpec, TinyModelSpec
from data_builders.tiny_model import TinyModelConfig, build
from reward_plugins.verl_plugin.cpu.generation import Prompt
from reward_plugins.verl_plugin.dataset import read_video
from tests.givens import question

sys.path.insert(0, str(Path(__file__).parent))  # for `verl_chat`, in any import mode

from verl_chat import encode

torch.set_num_threads(1)
FRAMES = FrameSpec(fps=2.0, min_frames=4, max_frames=8, min_pixels=784, max_pixels=56 * 56)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    asked = "Does the camera pan left in this video?"
    sample = question(question=asked, observation="The view stays.", think="Nothing moves.")
    write_samples(root / "samples.parquet", [sample])
    config = TinyModelConfig(
        model=TinyModelSpec(),
        prompt=PromptSpec(),
        frames=FRAMES,
        samples=root / "samples.parquet",
        out=root / "tiny",
    )
    build(config)
    return config.out


@pytest.fixture(scope="session")
def processor(checkpoint: Path) -> Any:
    from verl.utils.tokenizer import hf_processor

    return hf_processor(str(checkpoint))


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()


@pytest.fixture(scope="session")
def make_prompt(processor: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`make_prompt(text, fps, frames, seed)`: the prompt as verl's agent loop would send it."""
    root = tmp_path_factory.mktemp("frames")

    def make(text: str, fps: float = 2.0, frames: int = 8, seed: int = 0) -> Prompt:
        path = root / f"{seed}_{frames}.rgb"
        shape = (frames, 56, 56, 3)
        np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8).tofile(path)
        video = read_video({"frames": str(path), "shape": shape, "fps": fps})
        return Prompt(tuple(encode(processor, text, video)["input_ids"][0].tolist()), [video])

    return make
