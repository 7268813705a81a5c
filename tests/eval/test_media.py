"""Questions about images, videos, both and nothing, in one batch."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noise import make_samples, processed
from PIL import Image

from data_builders.frames import FrameIndex, materialise
from data_builders.media import Item, image, video
from data_builders.specs import PromptSpec
from data_builders.trajectory_specs import EndpointSpec
from orchestrator.evaluation.config import Server
from orchestrator.evaluation.engines import Request, make_request, openai, vllm
from orchestrator.evaluation.engines.hf import HuggingFaceEngine, load
from tests.givens import SPEC

MEDIA: dict[str, tuple[Item, ...]] = {
    "image": (image("i.png"),),
    "images": (image("i.png"), image("j.png")),
    "video": (video("0.mp4"),),
    "both": (image("i.png"), video("0.mp4")),
    "part": (video("1.mp4", 1.0, 3.0),),
    "videos": (video("0.mp4"), video("1.mp4")),
    "text": (),
}
PLACED = "First <image>. Then <video>: do they differ from <image>?"


@pytest.fixture(scope="module")
def engine(workspace: Path) -> HuggingFaceEngine:
    return load(workspace / "model", max_new_tokens=12)


@pytest.fixture(scope="module")
def board(workspace: Path) -> FrameIndex:
    for name, size in (("i", (56, 84)), ("j", (28, 112))):
        noise = np.random.default_rng(ord(name)).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(workspace / f"{name}.png")
    spec = SPEC.model_copy(update={"image_max_pixels": 84 * 84})
    items = {item for media in MEDIA.values() for item in media}
    return materialise(items, workspace, workspace / "cache", spec)


@pytest.fixture(scope="module")
def requests(board: FrameIndex) -> dict[str, Request]:
    [first, *_] = make_samples()
    shown = {name: first.model_copy(update={"media": media}) for name, media in MEDIA.items()}
    places = (image("i.png"), video("1.mp4"), image("j.png"))
    shown["placed"] = first.model_copy(update={"media": places, "question": PLACED})
    prompt = PromptSpec(system="Be brief.")
    return {name: make_request(one, one.media, board, prompt) for name, one in shown.items()}


def test_what_the_model_gets_is_the_processors_own(
    engine: HuggingFaceEngine, requests: dict[str, Request]
) -> None:
    for name, request in requests.items():
        ours, theirs = engine.inputs([request]), processed(engine, request)
        for key in ("input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw"):
            assert (key in ours) == (key in theirs), (name, key)
            assert key not in ours or torch.equal(ours[key], theirs[key]), (name, key)
        tokens = sum(clip.meta.visual_tokens for clip in request.clips)
        assert int((ours["mm_token_type_ids"] > 0).sum()) == tokens, name


def test_a_still_image_costs_the_tokens_of_one_picture(board: FrameIndex) -> None:
    meta = board.meta("i.png")
    assert (meta.visual_tokens, meta.shape) == (2 * 3, (1, 56, 84, 3))


def test_a_batch_of_all_kinds_answers_as_plain_generate_does(
    engine: HuggingFaceEngine, requests: dict[str, Request]
) -> None:
    answers = engine.answer(list(requests.values()))
    for asked, given in zip(requests.values(), answers, strict=True):
        inputs = processed(engine, asked)
        with torch.inference_mode():
            output = engine.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=12,
                suppress_tokens=[*engine.tokens.values()],
            )
        new = output[0, inputs["input_ids"].shape[1] :]
        assert given.text == engine.processor.tokenizer.decode(new, skip_special_tokens=True)
    assert len({answer.text for answer in answers}) > 4


def test_vllm_is_given_the_same(engine: HuggingFaceEngine, requests: dict[str, Request]) -> None:
    for request in requests.values():
        prompt = vllm.make_prompt(request, engine.processor)
        data = prompt["multi_modal_data"]
        videos = [frames for frames, _ in data.get("video", [])]
        assert_seen(engine, request, prompt, data.get("image"), videos)
        keys = [key for kind in prompt["multi_modal_uuids"].values() for key in kind]
        assert len(keys) == len(set(keys)) == sum(map(len, data.values()))


def test_a_server_is_given_the_same(
    engine: HuggingFaceEngine, requests: dict[str, Request]
) -> None:
    served = openai.ServerEngine(Server(endpoint=EndpointSpec(model="m"), media="video"))
    for request in requests.values():
        turns, images = served.messages(request), []
        for part in turns[-1]["content"]:
            if part["type"] == "image_url":
                png = base64.b64decode(part.pop("image_url")["url"].partition(",")[2])
                images.append(Image.open(io.BytesIO(png)))
            part["type"] = part["type"].removesuffix("_url")
        text = engine.processor.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        videos = [clip.frames for clip in request.clips if clip.meta.shown == "video"]
        assert_seen(engine, request, {"prompt": text, **served.extra(request)}, images, videos)


def assert_seen(
    engine: HuggingFaceEngine,
    request: Request,
    prompt: dict[str, Any],
    images: list[Any] | None,
    videos: list[Any],
) -> None:
    """The processor, called with what was sent, makes what the engine gives its model."""
    seen = engine.processor(
        text=[prompt["prompt"]],
        images=images or None,
        videos=videos or None,
        return_tensors="pt",
        **prompt.get("mm_processor_kwargs", {}),
    )
    ours = engine.inputs([request])
    for key in ("input_ids", "image_grid_thw", "video_grid_thw"):
        assert (key in ours) == (key in seen) and (key not in ours or ours[key].equal(seen[key]))
    rates = [torch.as_tensor(each.get("second_per_grid_ts", [])) for each in (ours, seen)]
    assert torch.allclose(*rates)
