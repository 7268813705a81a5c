"""The Hugging Face engine sees what the trainers see, and answers the same in any batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from noise import make_samples, processed

from data_builders.frames import FrameIndex
from data_builders.specs import PromptSpec
from orchestrator.evaluation.__main__ import answer
from orchestrator.evaluation.collect import collect
from orchestrator.evaluation.config import EvalConfig, run_command
from orchestrator.evaluation.engines import Clip, EngineError, Request, make_request
from orchestrator.evaluation.engines.hf import HuggingFaceEngine, load
from orchestrator.evaluation.predictions import read_predictions
from orchestrator.evaluation.prepare import prepare
from orchestrator.evaluation.run import evaluate


@pytest.fixture(scope="module")
def engine(workspace: Path) -> HuggingFaceEngine:
    return load(workspace / "model", max_new_tokens=12)


def requests(index: FrameIndex) -> list[Request]:
    return [
        make_request(sample, sample.media, index, PromptSpec(system="Be brief."))
        for sample in make_samples()
    ]


def test_token_ids_grids_and_times_are_the_processors_own(
    engine: HuggingFaceEngine, index: FrameIndex
) -> None:
    for request in requests(index):
        ours, theirs = engine.inputs([request]), processed(engine, request)
        for name in ("input_ids", "attention_mask", "mm_token_type_ids", "video_grid_thw"):
            assert torch.equal(ours[name], theirs[name]), name
        assert ours["second_per_grid_ts"].tolist() == list(theirs["second_per_grid_ts"]) == [1.0]
        assert request.clips[0].meta.visual_tokens == int(ours["mm_token_type_ids"].sum()) // 2


def test_images_are_the_processors_own_too(engine: HuggingFaceEngine, images: FrameIndex) -> None:
    for request in requests(images):
        ours, theirs = engine.inputs([request]), processed(engine, request)
        for name in ("input_ids", "attention_mask", "mm_token_type_ids", "image_grid_thw"):
            assert torch.equal(ours[name], theirs[name]), name
        assert request.clips[0].meta.visual_tokens == int(ours["mm_token_type_ids"].sum())
        assert len(ours["image_grid_thw"]) == len(request.clips[0].frames)


def test_frames_are_set_apart_in_time(engine: HuggingFaceEngine, index: FrameIndex) -> None:
    inputs = engine.inputs(requests(index)[-1:])
    embeddings = inputs.pop("inputs_embeds")
    positions, _ = engine.model.model.get_rope_index(**inputs)
    times = positions[0, 0][inputs["mm_token_type_ids"][0] == 2]
    assert embeddings.shape[:2] == inputs["input_ids"].shape
    assert (times - times[0]).tolist() == [0] * 4 + [2] * 4 + [4] * 4 + [6] * 4


@pytest.mark.parametrize("shown", ["index", "images"])
def test_a_batch_answers_as_plain_generate_does_one_by_one(
    engine: HuggingFaceEngine, shown: str, request: pytest.FixtureRequest
) -> None:
    batch = requests(request.getfixturevalue(shown))
    answers = engine.answer(batch)
    for asked, given in zip(batch, answers, strict=True):
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
        assert given.tokens == len(new)
    assert len({given.text for given in answers}) > 1


def test_the_vision_tower_runs_once_a_clip(
    engine: HuggingFaceEngine, index: FrameIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    see = engine.model.get_video_features

    def counted(pixels: torch.Tensor, grid: torch.Tensor) -> object:
        calls.append(len(grid))
        return see(pixels, grid)

    monkeypatch.setattr(engine.model, "get_video_features", counted)
    engine._seen.clear()
    engine.inputs(requests(index)[:6])
    engine.inputs(requests(index)[6:])
    assert calls == [1, 1, 1]


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"{tmp_path} does not load"):
        load(tmp_path, 8)


def test_the_stage_answers_every_question_and_its_swap(config: EvalConfig) -> None:
    prepare(config)
    path = config.out / "eval.json"
    path.write_text(config.model_dump_json())
    assert run_command(answer, [str(path), "here"]) == 0
    assert run_command(collect, [str(path)]) == 0
    rows = read_predictions(config.predictions)
    assert len(rows) == 24 and all(row.error is None and row.tokens > 0 for row in rows)
    assert {row.condition for row in rows} == {"shown", "swapped"}


def test_two_engines_answer_to_the_letter_as_one(config: EvalConfig) -> None:
    prepare(config)
    texts = []
    for count in (1, 2):
        folder = config.answers / str(count)
        evaluate(config.model_copy(update={"engines": count, "answers": folder}))
        (ledger,) = folder.glob("*.jsonl")
        rows = [json.loads(line) for line in ledger.read_text().splitlines()]
        texts.append({key: (response, error, tokens) for key, response, error, tokens, *_ in rows})
    assert texts[0] == texts[1] and len(texts[0]) == 24
    assert len({response for response, *_ in texts[0].values()}) > 1


def test_a_checkpoint_that_would_scale_the_frames_gets_them_as_they_are(
    workspace: Path, index: FrameIndex
) -> None:
    engine = load(workspace / "model", max_new_tokens=1)
    engine.processor.video_processor.size = {"shortest_edge": 100_352, "longest_edge": 602_112}
    inputs = engine.inputs(requests(index)[-1:])
    assert inputs["video_grid_thw"].tolist() == [[4, 4, 4]]


def decode_as_trained(
    engine: HuggingFaceEngine, inputs: dict[str, torch.Tensor], count: int
) -> torch.Tensor:
    """Greedy tokens `(count,)`, each from a forward pass over all before it, without a cache."""
    inputs = dict(inputs)
    for _ in range(count):
        named = {key: value for key, value in inputs.items() if key != "pixel_values_videos"}
        positions = engine.model.model.get_rope_index(**named)[0]
        with torch.no_grad():
            logits = engine.model(**inputs, position_ids=positions).logits[0, -1]
        logits[[*engine.tokens.values()]] = -torch.inf
        token = int(logits.argmax())
        for name, value in (("input_ids", token), ("attention_mask", 1), ("mm_token_type_ids", 0)):
            inputs[name] = torch.cat([inputs[name], torch.tensor([[value]])], dim=1)
    return inputs["input_ids"][0, -count:]


def test_answers_take_the_positions_they_have_in_training(
    engine: HuggingFaceEngine, index: FrameIndex
) -> None:
    frames, meta = index.load("1.mp4")
    slow = meta.model_copy(update={"fps": 0.25, "key": "slow"})
    request = Request("", ("", "?"), [Clip(frames, slow, index.video_path("1.mp4"))])
    inputs = processed(engine, request)
    positions = engine.inputs([request])
    positions.pop("inputs_embeds")
    ids = engine.model.model.get_rope_index(**positions)[0]
    assert ids[0].max() == ids[0, 0, -1]  # text goes on after the clip's last time
    new = decode_as_trained(engine, inputs, 12)
    [answer] = engine.answer([request])
    assert answer.text == engine.processor.tokenizer.decode(new, skip_special_tokens=True)
