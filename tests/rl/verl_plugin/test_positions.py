"""Rollout and actor must see a video's frames at the same positions in time."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

from reward_plugins.positions import rope_index
from reward_plugins.verl_plugin.agent_loop import rope_index_kwargs
from reward_plugins.verl_plugin.cpu.generation import Prompt, sample

QUESTION = "Does the camera pan left in this video?"


def worker_ids(processor: Any, ids: torch.Tensor, inputs: dict[str, Any], **attributes: Any) -> Any:
    """Vision rows of what verl's agent loop worker computes, its processor having `attributes`."""
    names = ("get_rope_index", "video_token_id", "image_token_id", "tokenizer")
    own = {name: getattr(processor, name) for name in names} | attributes
    worker = SimpleNamespace(processor=SimpleNamespace(**own))
    mask = torch.ones_like(ids)
    found = AgentLoopWorker._compute_position_ids(worker, ids, mask, dict(inputs))
    return found[0, 1:]


def vision(processor: Any, prompt: Any) -> dict[str, Any]:
    from reward_plugins.verl_plugin.cpu.generation import _vision_inputs

    return _vision_inputs(processor, [prompt], torch.tensor([prompt.ids]))


@pytest.mark.parametrize("fps", [1.0, 2.0, 4.0])
def test_actor_ids_equal_those_of_generation(
    model: Any, processor: Any, make_prompt: Any, fps: float
) -> None:
    prompt = make_prompt(QUESTION, fps)
    ids, inputs = torch.tensor([prompt.ids]), vision(processor, prompt)
    expected = model._prepare_position_ids_for_generation(
        ids, {"attention_mask": torch.ones_like(ids), "use_cache": True, **inputs}
    )
    found = worker_ids(processor, ids, inputs, get_rope_index_kwargs=rope_index_kwargs)
    assert torch.equal(found, expected[1:, 0])


def test_without_our_loop_verl_would_not_see_the_rate(processor: Any, make_prompt: Any) -> None:
    def ids_at(fps: float) -> torch.Tensor:
        prompt = make_prompt(QUESTION, fps)
        return worker_ids(processor, torch.tensor([prompt.ids]), vision(processor, prompt))

    assert torch.equal(ids_at(1.0), ids_at(4.0))


@pytest.mark.parametrize("fps", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("text", [QUESTION, ""])  # "": the video's ids exceed those of the text
def test_rollout_and_actor_agree_on_log_probs(
    model: Any, processor: Any, make_prompt: Any, fps: float, text: str
) -> None:
    prompt = make_prompt(text, fps, frames=8 if text else 40)
    responses = sample(model, processor, [prompt], [0, 0], [1, 2], 1.0, 12)
    for response in responses:
        ids = torch.tensor([[*prompt.ids, *response.ids]])
        inputs = vision(processor, prompt)
        positions = worker_ids(processor, ids, inputs, get_rope_index_kwargs=rope_index_kwargs)
        with torch.no_grad():
            logits = model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                position_ids=positions[:, None],
                pixel_values_videos=inputs["pixel_values_videos"],
                video_grid_thw=inputs["video_grid_thw"],
            ).logits[0, len(prompt.ids) - 1 : -1]
        actor = logits.log_softmax(-1).gather(-1, torch.tensor(response.ids)[:, None])[:, 0]
        rollout = torch.tensor(response.log_probs)
        assert float((actor.exp() - rollout.exp()).abs().max()) < 1e-5


def test_images_are_seen(model: Any, processor: Any, make_prompt: Any) -> None:
    prompt = make_images(processor, make_prompt(QUESTION))
    assert len(vision(processor, prompt)["image_grid_thw"]) == 8
    [response] = sample(model, processor, [prompt], [0], [1], 1.0, 6)
    assert response.ids


def make_images(processor: Any, prompt: Any) -> Prompt:
    """The frames of `prompt`'s video, as images."""
    [(frames, _)] = prompt.videos
    images = [Image.fromarray(frame) for frame in frames.permute(0, 2, 3, 1).numpy()]
    content = [*[{"type": "image"}] * len(images), {"type": "text", "text": QUESTION}]
    chat = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    inputs = processor(text=[chat], images=images, do_resize=False, return_tensors="pt")
    return Prompt(tuple(inputs["input_ids"][0].tolist()), images=images)


@pytest.mark.parametrize("fps", [0.7, 1.0, 1.2, 1.5, 2.0, 4.0])
def test_our_ids_are_vllms(processor: Any, make_prompt: Any, fps: float) -> None:
    prompt = make_prompt(QUESTION, fps)
    inputs = vision(processor, prompt)
    data = {
        "video_grid_thw": SimpleNamespace(data=inputs["video_grid_thw"][0]),
        "second_per_grid_ts": SimpleNamespace(data=inputs["second_per_grid_ts"][0].bfloat16()),
    }
    at = prompt.ids.index(processor.video_token_id)
    assert_vllms(processor, prompt, inputs, [feature("video", at, data)])


def test_our_ids_of_images_are_vllms(processor: Any, make_prompt: Any) -> None:
    prompt = make_images(processor, make_prompt(QUESTION))
    inputs = vision(processor, prompt)
    pads = [token == processor.image_token_id for token in prompt.ids]
    starts = [n for n, pad in enumerate(pads) if pad and not pads[n - 1]]
    grids = [{"image_grid_thw": SimpleNamespace(data=grid)} for grid in inputs["image_grid_thw"]]
    features = [feature("image", at, grid) for at, grid in zip(starts, grids, strict=True)]
    assert_vllms(processor, prompt, inputs, features)


def feature(modality: str, start: int, data: dict[str, Any]) -> Any:
    """What vLLM knows of a video or an image in a prompt."""
    position = SimpleNamespace(offset=start)
    return SimpleNamespace(modality=modality, mm_position=position, data=data)


def assert_vllms(processor: Any, prompt: Any, inputs: dict[str, Any], features: list[Any]) -> None:
    module = pytest.importorskip("vllm.model_executor.models.qwen2_5_vl", reason="without vLLM")
    ids, cls = torch.tensor([prompt.ids]), module.Qwen2_5_VLForConditionalGeneration
    stub = SimpleNamespace(config=processor.config)
    stub.iter_mm_grid_thw = lambda features: cls.iter_mm_grid_thw(stub, features)
    theirs, _ = cls.get_mrope_input_positions(stub, list(prompt.ids), features)
    ours = rope_index(processor, ids, **inputs)[0][:, 0]
    assert torch.equal(ours, theirs)
