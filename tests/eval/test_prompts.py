"""What vLLM gets, in this process or behind a server, is what the Hugging Face engine gets.

And that is what the trainers get (tests/integration/test_contract.py). vLLM itself needs a GPU;
here its calls are made in its place, as vllm 0.24 makes them.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import torch
from noise import make_samples

from data_builders.decoding import read_all
from data_builders.frames import FrameIndex
from data_builders.specs import PromptSpec
from data_builders.trajectory_specs import EndpointSpec
from orchestrator.evaluation.config import Server
from orchestrator.evaluation.engines import Request, make_request, openai, vllm
from orchestrator.evaluation.engines.hf import HuggingFaceEngine, load
from reward_plugins.positions import rope_index

SERVER = Server(endpoint=EndpointSpec(model="m"), media="video")
VLLM_PROCESSOR_KEYS = {"do_sample_frames": False, "do_resize": False}
"""What `load` gives `LLM`; vLLM lays a request's own over it (processing/context.py:259)."""


@pytest.fixture(scope="module")
def engine(workspace: Path) -> HuggingFaceEngine:
    return load(workspace / "model", max_new_tokens=12)


@pytest.fixture(params=range(3))
def request_(request: pytest.FixtureRequest, index: FrameIndex) -> Request:
    sample = make_samples()[4 * request.param]
    return make_request(sample, sample.media, index, PromptSpec(system="Be brief."))


def as_vllm(processor: Any, text: str, frames: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """vLLM's call of the processor: the frames bare, their metadata only as an argument."""
    return processor(text=[text], videos=[frames], return_tensors="pt", **arguments)


def assert_same(engine: HuggingFaceEngine, request: Request, seen: dict[str, Any]) -> None:
    ours = engine.inputs([request])
    assert torch.equal(ours["input_ids"], seen["input_ids"])
    assert torch.equal(ours["video_grid_thw"], seen["video_grid_thw"])
    assert ours["second_per_grid_ts"].tolist() == list(seen["second_per_grid_ts"])
    [grid], pixels = engine._see(*request.clips).grids, seen["pixel_values_videos"]
    assert len(pixels) == int(grid.prod())


def test_vllm_sees_the_same(engine: HuggingFaceEngine, request_: Request) -> None:
    prompt = vllm.make_prompt(request_, engine.processor)
    [(frames, _)] = prompt["multi_modal_data"]["video"]
    arguments = {**VLLM_PROCESSOR_KEYS, **prompt["mm_processor_kwargs"]}
    assert_same(engine, request_, as_vllm(engine.processor, prompt["prompt"], frames, arguments))


def test_vllm_sees_the_same_images(engine: HuggingFaceEngine, images: FrameIndex) -> None:
    sample = make_samples()[0]
    request = make_request(sample, sample.media, images, PromptSpec())
    prompt, ours = vllm.make_prompt(request, engine.processor), engine.inputs([request])
    shown = prompt["multi_modal_data"]["image"]
    arguments = {**VLLM_PROCESSOR_KEYS, **prompt["mm_processor_kwargs"]}
    seen = engine.processor(text=[prompt["prompt"]], images=shown, return_tensors="pt", **arguments)
    assert torch.equal(ours["input_ids"], seen["input_ids"])
    assert torch.equal(ours["image_grid_thw"], seen["image_grid_thw"])
    keys = prompt["multi_modal_uuids"]["image"]
    assert len(set(keys)) == len(shown) == len(request.clips[0].frames)


def test_a_vllm_server_sees_the_same(
    engine: HuggingFaceEngine, request_: Request, tmp_path: Path
) -> None:
    served = openai.ServerEngine(SERVER)
    turns = served.messages(request_)
    url = turns[-1]["content"][0]["video_url"]["url"]
    (tmp_path / "sent.mp4").write_bytes(base64.b64decode(url.partition(",")[2]))
    turns[-1]["content"][0] = {"type": "video"}
    text = engine.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    arguments = served.extra(request_)["mm_processor_kwargs"]
    frames = read_all(tmp_path / "sent.mp4")
    assert_same(engine, request_, as_vllm(engine.processor, text, frames, arguments))


def test_without_the_frame_rate_all_frames_are_at_one_time(
    engine: HuggingFaceEngine, index: FrameIndex
) -> None:
    """Why vLLM's answers were others than Hugging Face's: it took 24 frames a second."""
    sample = make_samples()[-1]
    request = make_request(sample, sample.media, index, PromptSpec())
    prompt = vllm.make_prompt(request, engine.processor)
    [(frames, _)] = prompt["multi_modal_data"]["video"]
    seen = as_vllm(engine.processor, prompt["prompt"], frames, VLLM_PROCESSOR_KEYS)
    assert list(seen["second_per_grid_ts"]) == [2 / 24]
    times = times_of(engine, seen["input_ids"], seen["video_grid_thw"], 2 / 24)
    assert set(times) == {times[0]}
    told = times_of(engine, seen["input_ids"], seen["video_grid_thw"], 1.0)
    assert [time - told[0] for time in told[::4]] == [0, 2, 4, 6]


def times_of(
    engine: HuggingFaceEngine, ids: torch.Tensor, grid: torch.Tensor, seconds: float
) -> list[int]:
    """Temporal positions of the visual tokens."""
    positions, _ = rope_index(engine.model, ids, video_grid_thw=grid, second_per_grid_ts=[seconds])
    return positions[0, 0][ids[0] == engine.tokens["video"]].tolist()


def test_vllm_takes_what_it_is_given() -> None:
    llm = pytest.importorskip("vllm", reason="vLLM runs on GPUs").LLM
    import inspect
    from typing import get_type_hints

    from vllm.inputs import TextPrompt

    assert {"prompts", "sampling_params", "use_tqdm"} <= set(
        inspect.signature(llm.generate).parameters
    )
    assert {"prompt", "multi_modal_data", "multi_modal_uuids", "mm_processor_kwargs"} <= set(
        get_type_hints(TextPrompt)
    )
