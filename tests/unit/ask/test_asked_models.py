"""Models of the Hub, and behind servers: asked in one line, or refused in one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import constants
from web import Web

from data_builders.chat import EndpointError
from data_builders.decoding import write_lossless
from data_builders.frames import materialise
from orchestrator.ask import released
from orchestrator.ask.checkpoints import find
from orchestrator.ask.clips import ClipFrames
from orchestrator.ask.errors import AskError, PolicyError
from orchestrator.ask.policy import Ask
from orchestrator.ask.served import ServedPolicy, open_policy
from orchestrator.evaluation.config import Server
from orchestrator.publish.card import PRIVATE
from orchestrator.recipe import load_recipe
from tests.givens import SPEC
from tests.unit.data_builders.fake_hub import FakeHub
from tests.unit.data_builders.fake_server import FakeServer

NAME = "someone/policy"
PATHS = "/{repo_id}/resolve/{revision}/{filename}"
MODEL = {
    "config.json": json.dumps({"model_type": "qwen2_5_vl", "vision_config": {}}).encode(),
    "chat_template.json": b"{}",
    "model.safetensors": b"w" * 5000,
    "README.md": b"# A policy\n",
}
Serve = Callable[..., FakeHub]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A Hub with one model, with these files in place of the usual, None for one less."""
    monkeypatch.setattr(released, "ROOT", tmp_path)
    with ExitStack() as running:

        def start(**files: bytes | None) -> FakeHub:
            named = {name.replace("__", "."): content for name, content in files.items()}
            own = {name: text for name, text in {**MODEL, **named}.items() if text is not None}
            hub = running.enter_context(FakeHub(NAME, own, kind="model"))
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + PATHS)
            monkeypatch.setattr(constants, "ENDPOINT", hub.url)
            return hub

        yield start


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def card(recipe: str, **changes: object) -> bytes:
    """As `publish` writes the recipe into it."""
    own = load_recipe(recipe).model_dump(mode="json")
    public = {key: value for key, value in own.items() if key not in PRIVATE} | changes
    text = yaml.safe_dump(public, sort_keys=False)
    return f"# A policy\n<details><summary>Recipe</summary>\n\n```yaml\n{text}```\n".encode()


def test_a_hub_id_is_fetched_once_where_evaluations_keep_it(serve: Serve, tmp_path: Path) -> None:
    hub = serve()
    checkpoint = find(NAME, None, tmp_path)
    assert checkpoint.name == NAME
    assert isinstance(checkpoint.path, Path) and checkpoint.path.name == "someone--policy"
    assert (checkpoint.path / "model.safetensors").read_bytes() == MODEL["model.safetensors"]
    asked = len(hub.requests)
    assert find(NAME, None, tmp_path) == checkpoint and len(hub.requests) == asked
    revision = find(f"{NAME}@{hub.commit}", None, tmp_path)
    assert str(revision.path).endswith(f"someone--policy@{hub.commit}")


def test_prompt_and_frames_are_the_recipes_the_cards_or_the_defaults(
    serve: Serve, tmp_path: Path
) -> None:
    serve(README__md=card("tiny", name="theirs"))
    of_card = find(NAME, None, tmp_path)
    assert (of_card.recipe.name, of_card.origin) == ("theirs", "of the recipe on its card")
    named = find(NAME, "camreasoner_3b", tmp_path)
    assert (named.recipe.name, named.origin) == ("camreasoner_3b", "of recipe camreasoner_3b")


def test_without_a_recipe_on_its_card_the_default_is_said(serve: Serve, tmp_path: Path) -> None:
    serve()
    checkpoint = find(NAME, None, tmp_path)
    assert checkpoint.recipe.name == "camreasoner_7b"
    assert checkpoint.origin == "of recipe camreasoner_7b: its card names none (recipe=<name>)"
    assert checkpoint.environment in ("eval", "eval-gpu")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"config__json": None}, "holds no config.json"),
        ({"config__json": b'{"model_type": "qwen2"}'}, "a qwen2 without vision_config"),
        ({"config__json": b"not JSON"}, "no JSON"),
        ({"chat_template__json": None}, "its processor has no chat template"),
        ({"README__md": card("tiny", frames=3)}, "the recipe on its card is of another version"),
    ],
)
def test_what_cannot_be_asked_is_told_before_its_weights_are_fetched(
    serve: Serve, files: dict[str, bytes | None], told: str, tmp_path: Path
) -> None:
    hub = serve(**files)
    with pytest.raises(AskError, match=told):
        find(NAME, None, tmp_path)
    assert not any("safetensors" in path for path, _ in hub.requests)


@pytest.mark.parametrize(
    ("refusal", "told"), [("RepoNotFound", "there is no model"), ("GatedRepo", "is gated")]
)
def test_a_model_that_is_not_there_or_gated_is_one_line(
    serve: Serve, refusal: str, told: str, tmp_path: Path
) -> None:
    serve().refusal = (404 if refusal == "RepoNotFound" else 403, refusal)
    with pytest.raises(AskError, match=f"model={NAME}: no run or directory here, .*{told}"):
        find(NAME, None, tmp_path)


@pytest.mark.parametrize("name", ["./policy", "../policy", "~/policy", "a/b/c", "policy"])
def test_what_is_a_path_is_not_looked_for_on_the_hub(name: str, run: Path) -> None:
    with pytest.raises(AskError, match="neither a directory, a Hub id"):
        find(name, None, run.parent)


def test_a_name_that_the_hub_does_not_allow_is_one_line(serve: Serve, tmp_path: Path) -> None:
    serve()
    with pytest.raises(AskError, match="'a/b--c' is no name of a repository"):
        find("a/b--c", None, tmp_path)


def test_what_looks_like_a_run_is_not_looked_for_on_the_hub(run: Path) -> None:
    with pytest.raises(AskError, match="has base, sft:step:600; train it first"):
        find("tiny/rl", None, run.parent)


def test_a_servers_only_model_answers(server: FakeServer, tmp_path: Path) -> None:
    server.models = [{"id": "policy", "object": "model", "created": 0, "owned_by": "me"}]
    checkpoint = find(server.url, "tiny", tmp_path)
    assert isinstance(checkpoint.path, Server) and checkpoint.path.endpoint.model == "policy"
    assert checkpoint.environment is None and checkpoint.origin == "of recipe tiny"
    server.reply = lambda body: "<answer>A</answer>"
    write_lossless(tmp_path / "a.mp4", np.zeros((4, 56, 56, 3), np.uint8), Fraction(2))
    index = materialise(["a.mp4"], tmp_path, tmp_path / "cache", SPEC)
    shown = ClipFrames(index.meta("a.mp4"), index.cache / index.meta("a.mp4").key, (0.0, 0.5))
    with open_policy(checkpoint, "hf") as policy:
        assert isinstance(policy, ServedPolicy)
        (outcome,) = policy.answer([Ask("Does it pan?", shown)])
    assert outcome == {"text": "<answer>A</answer>", "tokens": 100}


def test_of_several_models_one_is_to_be_named(server: FakeServer, tmp_path: Path) -> None:
    server.models = [{"id": name} for name in ("one", "two")]
    with pytest.raises(AskError, match=r"lists 2 models \(one, two\); name one: .*#<name>"):
        find(server.url, None, tmp_path)
    chosen = find(f"{server.url}#two", None, tmp_path).path
    assert isinstance(chosen, Server) and chosen.endpoint.model == "two"


@pytest.mark.parametrize("body", [b"<html>Hello</html>", b"{}", b"[1]", b'{"data": [1]}'])
def test_a_page_for_people_lists_no_models(body: bytes, web: Web, tmp_path: Path) -> None:
    web.pages["/models"] = body
    with pytest.raises(AskError, match=r"lists 0 models \(an address ends with the version"):
        find(web.url, None, tmp_path)


def test_a_server_that_is_none_or_gone_is_one_line(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match=r"no server answers at http://127\.0\.0\.1:9/v1"):
        find("http://127.0.0.1:9/v1", None, tmp_path)
    gone = find("http://127.0.0.1:9/v1#policy", "tiny", tmp_path)
    with pytest.raises(PolicyError, match=r"127\.0\.0\.1:9"), open_policy(gone, "hf"):
        pass
