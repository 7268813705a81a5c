"""A model behind a local OpenAI-compatible server that also errs, stalls and talks nonsense."""

from __future__ import annotations

import base64
import io
import json
import math
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eval_fixtures import make_config, response, sample
from fake_server import FakeServer, completion, text_of
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from PIL import Image

from data_builders.chat import EndpointError, read, storable
from data_builders.decoding import read_all, write_lossless
from data_builders.trajectory_specs import EndpointSpec
from orchestrator.evaluation.collect import collect
from orchestrator.evaluation.config import EvalConfig, EvaluationError, Server
from orchestrator.evaluation.engines import EngineError, make_request, openai
from orchestrator.evaluation.predictions import Prediction, read_predictions
from orchestrator.evaluation.prepare import prepare
from orchestrator.evaluation.questions import asked
from orchestrator.evaluation.run import evaluate
from orchestrator.evaluation.score import score

SAMPLES = [sample(n, question=f"Question {n}?") for n in range(8)]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        running.reply = lambda body: response("A")
        yield running


def configured(
    root: Path, server: FakeServer, top_logprobs: int | None = None, **endpoint: Any
) -> EvalConfig:
    for clip in {one.clip for one in SAMPLES}:
        frames = np.random.default_rng(ord(clip[0])).integers(0, 256, (2, 28, 28, 3), np.uint8)
        write_lossless(root / clip, frames, Fraction(2))
    asked_how = {"model": "m", "base_url": server.url, "seconds": 5, "attempts": 1, **endpoint}
    spec = EndpointSpec.model_validate({**asked_how, "temperature": 0.0, "concurrency": 3})
    served = Server(endpoint=spec, media="video", top_logprobs=top_logprobs)
    config = make_config(root, SAMPLES, checkpoints={"gpt": served})
    prepare(config)
    server.bodies.clear()
    return config


def answers(config: EvalConfig) -> list[Prediction]:
    evaluate(config, "served")
    collect(config)
    return read_predictions(config.predictions)


def except_for(question: str, otherwise: Any) -> Any:
    """A server that answers A, but `otherwise` to one question."""
    return lambda body: otherwise if question in text_of(body) else response("A")


def test_every_question_is_asked_greedily_with_its_frames(
    tmp_path: Path, server: FakeServer
) -> None:
    config = configured(tmp_path, server)
    rows = answers(config)
    assert {row.sample_id: row.response for row in rows} == {s.id: response("A") for s in SAMPLES}
    assert {(row.tokens, row.prompt_tokens) for row in rows} == {(100, 1000)}
    assert all(body["temperature"] == 0 and body["model"] == "m" for body in server.bodies)
    asked_about = sorted(text_of(body).splitlines()[0] for body in server.bodies)
    assert asked_about == sorted(one.question for one in SAMPLES)


def test_the_clip_travels_to_the_last_pixel(tmp_path: Path, server: FakeServer) -> None:
    config = configured(tmp_path, server)
    answers(config)
    board = asked(config, "held_out")
    for one in SAMPLES:
        [body] = [b for b in server.bodies if one.question in text_of(b)]
        shown, text = body["messages"][-1]["content"]
        data = shown["video_url"]["url"].removeprefix("data:video/mp4;base64,")
        (tmp_path / "sent.mp4").write_bytes(base64.b64decode(data))
        frames, meta = board.frames.load(one.clip)
        assert np.array_equal(read_all(tmp_path / "sent.mp4"), frames)
        assert text["text"].startswith(one.question) and body["messages"][0]["role"] == "system"
        assert body["mm_processor_kwargs"]["video_metadata"] == [meta.metadata()]


def test_frames_travel_as_pictures_where_asked(tmp_path: Path, server: FakeServer) -> None:
    config = configured(tmp_path, server)
    [given] = config.checkpoints.values()
    assert isinstance(given, Server)
    engine = openai.load(given.model_copy(update={"media": "images"}), 8)
    board = asked(config, "held_out")
    request = make_request(SAMPLES[0], SAMPLES[0].media, board.frames, config.prompt)
    *shown, text = engine.messages(request)[-1]["content"]
    files = [part["image_url"]["url"].partition(",")[2] for part in shown]
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(file)))) for file in files]
    assert np.array_equal(np.stack(pictures), request.clips[0].frames) and text["type"] == "text"
    assert engine.extra(request) == {}


@pytest.mark.parametrize(
    "nonsense",
    [500, 400, "reset", "stall", b"<html>", b"", b"{}", b"[]", b"null", b'{"choices": []}',
     b'{"choices": [{}]}', b'{"choices": [{"message": null}]}', None],
)  # fmt: skip
def test_a_question_without_an_answer_is_an_error_and_never_wrong(
    tmp_path: Path, server: FakeServer, nonsense: Any
) -> None:
    config = configured(tmp_path, server, seconds=0.5)
    reply = completion(None) if nonsense is None else nonsense
    server.reply = except_for("Question 3?", reply)
    failed = [row for row in answers(config) if row.error]
    assert [(row.sample_id, row.response) for row in failed] == [("s3", None)]
    overall = score(config)["benchmarks"]["held_out"]["checkpoints"]["gpt"]["shown"]["all"]
    assert (overall["n"], overall["errors"], overall["accuracy"]) == (7, 1, 4 / 7)


def likely(text: str, **others: float) -> dict[str, Any]:
    tops = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in others.items()]
    return {"token": text, "logprob": 0.0, "bytes": None, "top_logprobs": tops}


def test_the_options_probabilities_are_the_servers_own(tmp_path: Path, server: FakeServer) -> None:
    tokens = [likely("<answer>"), likely("B", A=0.25, B=0.5), likely("</answer>")]
    server.reply = lambda body: completion("<answer>B</answer>", {"content": tokens})
    config = configured(tmp_path, server, top_logprobs=5)
    assert all(row.probabilities == pytest.approx([0.25, 0.5]) for row in answers(config))
    assert all(body["logprobs"] and body["top_logprobs"] == 5 for body in server.bodies)
    shown = score(config)["benchmarks"]["held_out"]["checkpoints"]["gpt"]["shown"]["all"]
    assert shown["ranking"]["n"] == len(SAMPLES) and shown["ranking"]["auc"] == 0.5


def test_a_server_that_tells_no_probabilities_is_not_asked_for_any(
    tmp_path: Path, server: FakeServer
) -> None:
    rows = answers(configured(tmp_path, server))
    assert {row.probabilities for row in rows} == {None}
    assert not any("logprobs" in body for body in server.bodies)


def test_a_server_that_refuses_probabilities_is_mended_by_one_key(
    tmp_path: Path, server: FakeServer
) -> None:
    config = configured(tmp_path, server, top_logprobs=5)
    server.reply, server.refusal = lambda body: 400, "logprobs is not supported"
    with pytest.raises(EvaluationError, match=r"eval\.server\.top_logprobs=null"):
        answers(config)


@pytest.mark.parametrize("nonsense", ["x", [1], {"content": [1]}, {"content": 7}])
def test_nonsense_for_probabilities_is_an_error(
    tmp_path: Path, server: FakeServer, nonsense: object
) -> None:
    config = configured(tmp_path, server, top_logprobs=5)
    server.reply = except_for("Question 3?", completion("A", nonsense))
    assert [row.sample_id for row in answers(config) if row.error] == ["s3"]


def test_only_what_got_no_answer_is_asked_again(tmp_path: Path, server: FakeServer) -> None:
    config = configured(tmp_path, server)
    server.reply = except_for("Question 3?", 500)
    answers(config)
    assert json.loads(config.lacking.read_text()) == ["gpt has no answer to 1 of 8 questions"]
    server.reply = lambda body: response("A")
    server.bodies.clear()
    assert not any(row.error for row in answers(config))
    assert len(server.bodies) == 1 and not config.lacking.exists()


def test_a_server_that_stumbles_is_asked_again(tmp_path: Path, server: FakeServer) -> None:
    replies = iter([500, 503, 429])
    config = configured(tmp_path, server, attempts=4)
    server.reply = lambda body: next(replies, response("A"))
    rows = answers(config)
    assert not any(row.error for row in rows) and len(server.bodies) == len(SAMPLES) + 3


def test_a_blank_answer_is_an_answer(tmp_path: Path, server: FakeServer) -> None:
    server.reply = lambda body: ""
    rows = answers(configured(tmp_path, server))
    assert {(row.response, row.error) for row in rows} == {("", None)}


@pytest.mark.parametrize(
    "odd",
    [
        completion("", finish="content_filter"),
        completion("<answer>A</answer>", finish="tool_calls"),
        completion("<answer>A</answer>", finish=None),
        completion(None, refusal="I can't"),
        completion("", refusal="I can't"),
        completion(None),
        completion(7),
        completion([7]),
    ],
)
def test_an_answer_that_is_not_the_models_own_is_left_out(
    tmp_path: Path, server: FakeServer, odd: bytes
) -> None:
    config = configured(tmp_path, server)
    server.reply = except_for("Question 3?", odd)
    failed = [row for row in answers(config) if row.error]
    assert [row.sample_id for row in failed] == ["s3"]
    assert "ended with" in str(failed[0].error)


@given(parts=st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_an_answer_in_parts_is_joined(parts: list[str]) -> None:
    body = json.loads(completion([{"type": "text", "text": part} for part in parts]))
    written = read(ChatCompletion.construct(**body).choices[0])
    assert written == (storable("".join(parts)), "")


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_thinking_that_is_handed_out_apart_is_read_and_said(
    tmp_path: Path, server: FakeServer, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply = lambda body: completion("<answer>A</answer>", **{key: "It slides."})
    rows = answers(configured(tmp_path, server))
    assert {row.response for row in rows} == {"<think>It slides.</think><answer>A</answer>"}
    assert caplog.text.count("gives the thinking apart") == 1
    server.reply = lambda body: completion(None, finish="length", **{key: "For ever"})
    (tmp_path / "more").mkdir()
    assert {row.response for row in answers(configured(tmp_path / "more", server))} == {
        "<think>For ever"
    }


def test_a_server_that_takes_no_video_is_mended_by_one_key(
    tmp_path: Path, server: FakeServer
) -> None:
    config = configured(tmp_path, server)
    server.reply, server.refusal = lambda body: 400, "Invalid value: 'video_url'"
    with pytest.raises(EvaluationError, match=r"eval\.server\.media=images"):
        answers(config)


def test_a_server_that_is_down_shows_before_anything_else(
    tmp_path: Path, server: FakeServer
) -> None:
    config = configured(tmp_path, server)
    server.server_close()
    with pytest.raises(EndpointError, match=r"eval\.models\.gpt\.base_url: no server answers at"):
        prepare(config)


def test_a_server_that_goes_down_ends_the_run_which_then_goes_on(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path, server)
    answered = 0

    def dies_after_a_batch(body: dict[str, Any]) -> Any:
        nonlocal answered
        answered += 1
        return response("A") if answered <= config.batch_size else "reset"

    def gone(*_: object) -> None:
        raise EndpointError("no server answers")

    server.reply = dies_after_a_batch
    with monkeypatch.context() as patch:
        patch.setattr(openai, "check_endpoint", lambda *_: gone() if answered else None)
        with pytest.raises(EndpointError):
            evaluate(config, "served")
    server.bodies.clear()
    server.reply = lambda body: response("A")
    assert not any(row.error for row in answers(config))
    assert len(server.bodies) == len(SAMPLES) - config.batch_size


def test_a_refused_key_ends_the_run(tmp_path: Path, server: FakeServer) -> None:
    config = configured(tmp_path, server)
    server.reply = lambda body: 401
    with pytest.raises(EndpointError, match="check base_url, model, and the key"):
        evaluate(config, "served")


def test_another_model_at_the_same_address_inherits_nothing(
    tmp_path: Path, server: FakeServer
) -> None:
    config = configured(tmp_path, server)
    answers(config)
    other = configured(tmp_path, server, model="other")
    server.bodies.clear()
    answers(other)
    assert len(server.bodies) == len(SAMPLES)


def listed(**changes: Any) -> dict[str, Any]:
    """As vLLM 0.24 lists a model: created at the time of asking."""
    return {
        "id": "m",
        "object": "model",
        "created": int(time.time()),
        "root": "/models/a",
        **changes,
    }


def test_a_model_of_the_same_name_and_address_inherits_nothing(
    tmp_path: Path, server: FakeServer
) -> None:
    server.models = [listed(id="another"), listed()]
    answers(configured(tmp_path, server))
    server.models[1]["created"] += 1
    config = configured(tmp_path, server)
    answers(config)
    assert server.bodies == []  # it is the same one
    for change in ("its directory", "its words"):
        if change == "its directory":
            server.models[1]["root"] = "/models/b"
        else:
            server.reply = lambda body: response("B")
        config = configured(tmp_path, server)
        assert {row.response for row in answers(config)} == {server.reply({})}
        assert len(server.bodies) == len(SAMPLES), change
    shown = score(config)["benchmarks"]["held_out"]["checkpoints"]["gpt"]
    assert shown["served"]["listed"] == {"id": "m", "root": "/models/b"}
    assert shown["served"]["probe"] == response("B")


def test_a_server_that_never_says_the_same_is_told_by_its_name(
    tmp_path: Path, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    words = map(str, count())
    server.reply = lambda body: next(words)
    config = configured(tmp_path, server)
    assert "gpt (m at http" in caplog.text and "would go unnoticed" in caplog.text
    answers(config)
    answers(configured(tmp_path, server))
    assert server.bodies == []


def test_a_server_that_answers_nothing_shows_before_anything_else(
    tmp_path: Path, server: FakeServer
) -> None:
    server.reply = lambda body: 400
    with pytest.raises(EvaluationError, match=r"eval\.models\.gpt answers no question: m at http"):
        configured(tmp_path, server)


def test_a_clip_that_vanished_is_an_error(tmp_path: Path, server: FakeServer) -> None:
    config = configured(tmp_path, server)
    request = make_request(SAMPLES[0], SAMPLES[0].media, asked(config, "held_out").frames,
                           config.prompt)  # fmt: skip
    request.clips[0].video.unlink()
    [given] = config.checkpoints.values()
    assert isinstance(given, Server)
    [outcome] = openai.load(given, 8).answer([request])
    assert isinstance(outcome, EngineError) and "clip.mp4" in str(outcome)
