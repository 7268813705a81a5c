"""Whatever a server replies, each question has an answer of the model or an error, and no other."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from fake_server import FakeServer, completion
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_builders.trajectory_specs import EndpointSpec
from orchestrator.evaluation.config import Server
from orchestrator.evaluation.engines import EngineError, Request, Response
from orchestrator.evaluation.engines.openai import load

TEXT = "<think>x</think><answer>A</answer>"
LOGPROBS = {
    "content": [
        {"token": token, "logprob": -0.1, "bytes": None,
         "top_logprobs": [{"token": t, "logprob": -1.0, "bytes": None} for t in ("A", "B")]}
        for token in ("<think>x</think><answer>", "A", "</answer>")
    ]
}  # fmt: skip
GOOD: dict[str, Any] = json.loads(completion(TEXT, LOGPROBS))
JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([[], {}, [None], [{}], {"content": []}, "stop", "content_filter", 10**400])
)


def paths(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a tree."""
    yield so_far
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(below, (*so_far, key))


PLACES = list(paths(GOOD))


def laid(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """`value` with `junk` at one of its places."""
    if not path:
        return junk
    copy = dict(value) if isinstance(value, dict) else list(value)
    try:
        copy[path[0]] = laid(copy[path[0]], path[1:], junk)
    except (LookupError, TypeError):  # an earlier piece of junk is there
        return value
    return copy


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """A good reply with junk in up to three places; or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=20))
    tree: Any = GOOD
    for _ in range(draw(st.integers(0, 3))):
        tree = laid(tree, draw(st.sampled_from(PLACES)), draw(JUNK)) if tree else tree
    return json.dumps(tree).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=replies())
def test_any_reply_is_an_answer_or_an_error(server: FakeServer, reply: bytes) -> None:
    server.reply = lambda body: reply
    endpoint = {"model": "m", "base_url": server.url, "seconds": 5, "attempts": 1}
    spec = EndpointSpec.model_validate({**endpoint, "temperature": 0.0, "concurrency": 1})
    engine = load(Server(endpoint=spec, media="images", top_logprobs=2), 64)
    request = Request("", ("Which?",), (), ("A", "B"), ("think", "answer"))
    (outcome,) = engine.answer([request])
    if isinstance(outcome, EngineError):
        assert str(outcome)
        return
    assert isinstance(outcome, Response) and isinstance(outcome.text, str)
    json.dumps(outcome.text).encode()
    assert 0 <= outcome.tokens < 2**31 and 0 <= outcome.prompt_tokens < 2**31
    for probability in outcome.probabilities or ():
        assert math.isfinite(probability) and 0 <= probability <= 1
