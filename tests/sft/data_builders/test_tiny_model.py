"""Runs in the SFT environment: the model is built, saved and read back with its transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")
import torch  # noqa: E402

from data_builders import tiny_model  # noqa: E402
from data_builders.prompt import trace_text, user_text  # noqa: E402
from data_builders.sample import write_samples  # noqa: E402
from data_builders.specs import FrameSpec, PromptSpec, TinyModelSpec  # noqa: E402
from tests.givens import question  # noqa: E402

FRAMES = FrameSpec(fps=2, min_frames=2, max_frames=8, min_pixels=784, max_pixels=12544)
SAMPLE = question(observation="The view slides to the right.", think="pan left")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    write_samples(root / "samples.parquet", [SAMPLE])
    config = tiny_model.TinyModelConfig(
        model=TinyModelSpec(),
        prompt=PromptSpec(),
        frames=FRAMES,
        samples=root / "samples.parquet",
        out=root / "model",
    )
    (root / "config.json").write_text(config.model_dump_json())
    tiny_model.main([str(root / "config.json")])
    return root / "model"


def test_it_loads_and_describes_a_clip_in_tokens(checkpoint: Path) -> None:
    model = transformers.AutoModelForImageTextToText.from_pretrained(checkpoint)
    processor = transformers.AutoProcessor.from_pretrained(checkpoint)
    video = torch.zeros(8, 3, 56, 56, dtype=torch.uint8)
    turn = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What?"}]}
    text = processor.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    inputs = processor(
        text=[text],
        videos=[video],
        videos_kwargs={"do_sample_frames": False, "fps": 2.0},
        return_tensors="pt",
    )
    assert inputs["video_grid_thw"].tolist() == [[4, 4, 4]]  # no resizing: 56 x 56 pixels
    assert (inputs["input_ids"] == model.config.video_token_id).sum() == 16
    assert model(**inputs).logits.isfinite().all()


def test_words_of_the_recipe_are_few_tokens_and_survive_a_round_trip(checkpoint: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    prompt = PromptSpec()
    for text in (user_text(SAMPLE, prompt), trace_text(SAMPLE, prompt), "Unseen: żółw 🐢"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer(SAMPLE.observation)["input_ids"]) <= 20
    assert tokenizer.eos_token == "<|im_end|>"


def test_weights_follow_from_the_seed() -> None:
    tokenizer = tiny_model.train_tokenizer(iter(["some text"]), 300)
    first, again, other = (
        tiny_model.random_model(TinyModelSpec(seed=seed), tokenizer).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"modle": {}}))
    with pytest.raises(ValueError, match="modle"):
        tiny_model.main([str(tmp_path / "config.json")])
