"""The server for machines without vLLM answers as its model does."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from data_builders.text_server import TextModel, make_server

TURNS = [{"role": "user", "content": "Does the camera pan?"}]


@pytest.fixture(scope="module")
def model(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    """A random model of text with the tiny model's tokenizer."""
    folder = tmp_path_factory.mktemp("text")
    tokenizer = AutoTokenizer.from_pretrained(workspace / "model")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.5}
    torch.manual_seed(0)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    made = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **sizes, **heads, **ends))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return TextModel(str(folder))


@pytest.fixture
def url(model: TextModel) -> Iterator[str]:
    with make_server(model, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def ask(url: str, path: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/{path}", data)) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_it_answers_greedily_what_the_model_would(model: TextModel, url: str) -> None:
    found = ask(url, "chat/completions", {"messages": TURNS, "max_tokens": 7, "temperature": 0})
    ids = model.tokenizer.apply_chat_template(
        TURNS, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )["input_ids"]
    tokens = ids
    for _ in range(7):
        with torch.inference_mode():
            best = model.model(tokens).logits[:, -1:].argmax(dim=-1)
        tokens = torch.cat([tokens, best], dim=1)
        if best.item() == model.tokenizer.eos_token_id:
            break
    new = tokens[0, ids.shape[1] :]
    [choice] = found["choices"]
    expected = model.tokenizer.decode(new, skip_special_tokens=True)
    assert choice["message"] == {"role": "assistant", "content": expected}
    assert found["usage"]["completion_tokens"] == len(new)


def test_it_lists_its_model(model: TextModel, url: str) -> None:
    assert [each["id"] for each in ask(url, "models")["data"]] == [model.name]


@pytest.mark.parametrize("body", [{}, {"messages": 7}, [], {"messages": TURNS, "max_tokens": "x"}])
def test_nonsense_is_refused_and_the_server_goes_on(url: str, body: object) -> None:
    with pytest.raises(HTTPError, match="400"):
        ask(url, "chat/completions", body)
    assert ask(url, "chat/completions", {"messages": TURNS, "max_tokens": 1})["choices"]
