"""A recipe that holds a secret is refused, and a log that would show one is blacked out."""

import sys
from pathlib import Path

import pytest

from orchestrator.errors import RecipeError
from orchestrator.recipe import load_recipe, recipe_names
from orchestrator.run.node import Exit, StageRunner
from orchestrator.secrets import REDACTED, redact

PLANTED = {
    "HF_TOKEN": "hf_" + "PlantedTokenOfHuggingFace0123456789"[:34],
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "OPENAI_API_KEY": "sk-proj-planted0123456789abcdefghijkl",
}
ENDPOINT = "data.trajectories.teacher.base_url"


@pytest.mark.parametrize("name", recipe_names())
def test_no_recipe_of_ours_is_taken_for_a_secret(name: str) -> None:
    load_recipe(name)


@pytest.mark.parametrize(
    ("override", "key", "secret", "mend"),
    [
        ("rl.extra.x={}", "rl.extra.x", PLANTED["HF_TOKEN"], "HF_TOKEN"),
        ("rl.extra.wandb_api_key={}", "wandb_api_key", PLANTED["WANDB_API_KEY"], "WANDB_API_KEY"),
        ("sft.extra.deep.list=[a,{}]", "sft.extra.deep.list.1", PLANTED["OPENAI_API_KEY"], "API"),
        (f'{ENDPOINT}="http://me:{{}}@host:1/v1"', ENDPOINT, "hunter2hunter2", "api_key_variable"),
        (f'{ENDPOINT}="http://{{}}@host:1/v1"', ENDPOINT, "onlyname", "api_key_variable"),
        (
            f'{ENDPOINT}="https://host/v1?a=1&api_key={{}}"',
            ENDPOINT,
            "shortone",
            "api_key_variable",
        ),
        ("rl.extra.words=['--api-key={}']", "rl.extra.words.0", "short", "VLLM_API_KEY"),
        ("unknown.key={}", "unknown.key", PLANTED["HF_TOKEN"], "HF_TOKEN"),
    ],
)
def test_a_secret_in_a_recipe_is_refused_without_being_shown(
    override: str, key: str, secret: str, mend: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("camreasoner_7b", [override.format(secret)])
    text = str(caught.value)
    assert f"{key}: looks like" in text
    assert mend in text and "environment" in text
    assert secret not in text


def test_the_value_of_a_secret_variable_is_refused_whatever_it_looks_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SERVER_API_KEY", "open sesame")
    with pytest.raises(RecipeError, match="looks like the value of MY_SERVER_API_KEY"):
        load_recipe("tiny", ['expected="says open sesame"'])


def test_a_mistyped_override_with_a_secret_does_not_show_it() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", [f"rl.extra.x=[{PLANTED['HF_TOKEN']}"])
    assert PLANTED["HF_TOKEN"] not in str(caught.value)


@pytest.mark.parametrize(
    "harmless",
    [
        "rl.extra.pad_token='<|endoftext|>'",
        "rl.extra.max_new_tokens=4096",
        "rl.extra.revision=03c0ce17a9a8c77ecfdd7f4c66c534c23bd7b596",
        "expected='see http://host/path?page=2 by me@host'",
        f"{ENDPOINT}=https://host:8000/v1",
        "data.trajectories.teacher.api_key_variable=MY_KEY",
    ],
)
def test_what_is_no_secret_is_let_through(harmless: str) -> None:
    load_recipe("camreasoner_7b", [harmless])


def test_text_is_blacked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    text = "; ".join(f"{name}={value}" for name, value in PLANTED.items())
    assert redact(text) == "; ".join(f"{name}={REDACTED}" for name in PLANTED)
    assert redact("https://u:p@host/x?token=abc&y=1") == (
        f"https://{REDACTED}@host/x?{REDACTED}&y=1"
    )


def test_a_log_is_blacked_out_across_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", PLANTED["HF_TOKEN"])
    code = (
        "import os, sys; t = os.environ['HF_TOKEN']; w = os.write\n"
        "w(1, ('token ' + t[:9]).encode()); w(1, (t[9:] + ' café\\r').encode())\n"
        "w(1, 'half é'.encode()[:-1]); w(1, 'é'.encode()[1:] + t.encode())"
    )
    log = tmp_path / "log"
    *_, ended = StageRunner().run([sys.executable, "-c", code], {}, str(tmp_path), str(log))
    assert isinstance(ended, Exit) and ended.code == 0
    assert log.read_bytes().decode() == f"token {REDACTED} café\rhalf é{REDACTED}"
