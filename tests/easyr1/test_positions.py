"""Training and rollout see a clip's frames at the same times, those that SFT taught."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

if not os.environ.get("EASYR1_HOME"):
    pytest.skip("EASYR1_HOME names no EasyR1 checkout", allow_module_level=True)

import numpy as np
import tiny
import torch
import verl
from test_parts import make_dataset
from transformers import AutoConfig
from verl.utils import dataset as easyr1_dataset

from data_builders.decoding import write_lossless
from data_builders.export import to_easyr1
from data_builders.frames import materialise
from data_builders.specs import FrameSpec, PromptSpec
from orchestrator.plan.context import ALL_FRAMES
from reward_plugins.easyr1_plugin import rates
from reward_plugins.positions import rope_index


@pytest.fixture(params=[1.0, 1.5, 2.0, 4.0])
def asked(
    request: pytest.FixtureRequest,
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """`config` with one question about a clip of eight frames at some rate."""
    monkeypatch.setattr(easyr1_dataset, "process_video", easyr1_dataset.process_video)
    rates.remember(easyr1_dataset)
    spec = FrameSpec(
        fps=request.param, min_frames=4, max_frames=8, min_pixels=784, max_pixels=tiny.PIXELS
    )
    frames = np.random.default_rng(0).integers(0, 256, (8, 56, 56, 3), dtype=np.uint8)
    write_lossless(tmp_path / "0.mp4", frames, Fraction(request.param))
    index = materialise(["0.mp4"], tmp_path, tmp_path / "cache", spec)
    to_easyr1(tiny.questions()[:1], index, PromptSpec(), tmp_path / "rl.json")
    data = {"train_files": str(tmp_path / "rl.json"), "video_fps": ALL_FRAMES}
    return {**config, "data": {**config["data"], **data}}


def test_training_and_rollout_number_as_sft_does(asked: dict[str, Any]) -> None:
    row = make_dataset(asked)[0]
    kept = row["attention_mask"].bool()
    ids, training = row["input_ids"][kept], row["position_ids"][1:, kept]
    model = AutoConfig.from_pretrained(asked["worker"]["actor"]["model"]["model_path"])
    seen = rollout(asked, row)
    named = {key: seen[key] for key in ("video_grid_thw", "second_per_grid_ts")}
    ours, _ = rope_index(SimpleNamespace(config=model), ids[None], **named)
    assert torch.equal(ours[:, 0], training)
    assert torch.equal(in_vllm(ids, model, named), training)
    assert len(training[0, ids == model.video_token_id].unique()) == 4


def rollout(asked: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """What the processor in vLLM makes of the prompt that the rollout's engine gets."""
    data, dataset = asked["data"], make_dataset(asked)
    pixels = (data["min_pixels"], data["max_pixels"], data["video_fps"])
    [video] = (easyr1_dataset.process_video(path, *pixels) for path in clips(asked))
    prompt = rates.with_rates({"prompt_token_ids": [], "multi_modal_data": {"video": [video]}})
    text = dataset.tokenizer.decode(row["raw_prompt_ids"])
    arguments = {**prompt["mm_processor_kwargs"], "return_tensors": "pt"}
    return dict(dataset.processor(text=[text], videos=[video], **arguments))


def clips(asked: dict[str, Any]) -> list[str]:
    [row] = json.loads(Path(asked["data"]["train_files"]).read_text())
    return list(row["videos"])


def in_vllm(ids: torch.Tensor, model: Any, named: dict[str, Any]) -> torch.Tensor:
    module = "vllm.model_executor.layers.rotary_embedding.mrope"
    rope = pytest.importorskip(module, reason="without vLLM").MRotaryEmbedding
    found, _ = rope._vl_get_input_positions_tensor(ids.tolist(), model, [], *named.values())
    return found


def test_the_rollouts_engine_is_given_the_rate() -> None:
    class LLM:
        def generate(self, prompts: Any, **_: Any) -> Any:
            return prompts

    rollout = SimpleNamespace(LLM=LLM)
    rates.name_again(rollout)
    video = torch.zeros(4, 3, 28, 28)
    video.sampled_fps = 1.0  # as `remember` leaves it
    told, text = rollout.LLM().generate(
        prompts=[{"multi_modal_data": {"video": [video]}}, {"prompt_token_ids": [1]}]
    )
    assert told["mm_processor_kwargs"] == {"fps": 1.0} and "mm_processor_kwargs" not in text


def test_the_rollout_reads_and_generates_by_those_names() -> None:
    file = Path(verl.__file__).parent / "workers/rollout/vllm_rollout_spmd.py"
    text = file.read_text()
    assert "import process_image, process_video" in text and "from vllm import LLM" in text
    assert "self.inference_engine = LLM(" in text and "self.inference_engine.generate(" in text
