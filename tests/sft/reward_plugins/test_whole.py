"""SFT stops before it trains on a part of a trace, or from a part of a checkpoint."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llamafactory.data import get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from llamafactory.train.sft import workflow
from safetensors.torch import load_file, save_file
from transformers.integrations import deepspeed

from data_builders import tiny_model
from data_builders.sample import write_samples
from data_builders.specs import FrameSpec, PromptSpec, TinyModelSpec
from reward_plugins import weights
from reward_plugins.llamafactory_plugin import whole
from reward_plugins.weights import WeightsError
from tests.givens import question

FRAMES = FrameSpec(fps=2, min_frames=2, max_frames=8, min_pixels=784, max_pixels=12544)
TURNS = {"role_tag": "role", "content_tag": "content", "user_tag": "user"}
TURNS |= {"assistant_tag": "assistant"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tiny model, and traces of 10, 20, ... 60 words."""
    write_samples(tmp_path / "samples.parquet", [question(observation="left", think="pan")])
    config = tiny_model.TinyModelConfig(
        model=TinyModelSpec(),
        prompt=PromptSpec(),
        frames=FRAMES,
        samples=tmp_path / "samples.parquet",
        out=tmp_path / "model",
    )
    tiny_model.build(config)
    rows = [
        {
            "messages": [
                {"role": "user", "content": "left"},
                {"role": "assistant", "content": "pan " * 10 * count + "</answer>"},
            ]
        }
        for count in range(1, 7)
    ]
    info = {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TURNS}
    (tmp_path / "sft.json").write_text(json.dumps(rows))
    (tmp_path / "dataset_info.json").write_text(
        json.dumps({"sft": {"file_name": "sft.json", **info}})
    )
    return tmp_path


def dataset(root: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `run_sft` would train on."""
    monkeypatch.setattr(workflow, "get_dataset", workflow.get_dataset)  # put back at the end
    whole.install()
    config = {
        "model_name_or_path": str(root / "model"),
        "stage": "sft",
        "do_train": True,
        "use_cpu": True,
        "dataset": "sft",
        "dataset_dir": str(root),
        "template": "qwen2_vl",
        "cutoff_len": most,
        "output_dir": str(root / "out"),
        "report_to": "none",
    }
    model, data, training, _, _ = get_train_args(config)
    module = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data)
    return workflow.get_dataset(template, model, data, training, stage="sft", **module)


def test_lengths_are_counted_and_a_cut_trace_stops(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rows = dataset(root, 10_000, monkeypatch)["train_dataset"]
    lengths = [len(row) for row in rows["input_ids"]]
    assert f"6 traces of {lengths[0]} to {lengths[-1]} tokens, of 10000 at most" in caplog.text
    assert dataset(root, lengths[-1], monkeypatch)
    told = rf"2 of 6 traces are longer than .*={lengths[3]} .*sft.max_length={lengths[-1]},"
    with pytest.raises(whole.LengthError, match=told):
        dataset(root, lengths[3], monkeypatch)


def test_half_a_checkpoint_is_no_base(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root / "model" / "model.safetensors"
    save_file(dict(list(load_file(file).items())[::2]), file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="are missing, and would be random"):
        dataset(root, 10_000, monkeypatch)


class ZeroThree:
    """What transformers asks of DeepSpeed's configuration."""

    def is_zero3(self) -> bool:
        return True


def test_weights_are_looked_at_under_zero_3_too(root: Path) -> None:
    """transformers refuses there to read names and shapes alone; the trainer's setting stays."""
    config = ZeroThree()
    deepspeed.set_hf_deepspeed_config(config)
    try:
        with pytest.raises(WeightsError, match="Zero-3"):
            weights.check(root / "model")
        with whole._unsharded(SimpleNamespace(hf_deepspeed_config=config)):
            weights.check(root / "model")
        assert deepspeed.is_deepspeed_zero3_enabled()
    finally:
        deepspeed.unset_hf_deepspeed_config()
