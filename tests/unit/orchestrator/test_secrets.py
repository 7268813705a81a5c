"""A recipe that holds a secret is refused, and a log that would show one is blacked out."""

import base64
import json
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from orchestrator.errors import RecipeError
from orchestrator.recipe import load_recipe, recipe_names
from orchestrator.run.node import Exit, StageRunner
from orchestrator.secrets import CONFIGURED, REDACTED, redact

PLANTED = {
    "HF_TOKEN": "hf_" + "PlantedTokenOfHuggingFace0123456789"[:34],
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "OPENAI_API_KEY": "sk-proj-planted0123456789abcdefghijkl",
}
KINDS = {
    "wandb": "0123456789abcdef" * 2 + "01234567",
    "aws id": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws secret": "wJalrXUtnFEMI/K7MDENG/bPxRfi" + "CYEXAMPLEKEY",
    "slack": "xoxb-" + "123456789012-abcdefABCDEF",
    "gitlab": "glpat-" + "abcdefghij0123456789",
    "google": "AIza" + "SyA-0123456789abcdefghijklmnopqrstuv",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\n|MIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "anthropic": "sk-ant-" + "api03-abcdefghij0123456789",
    "stripe": "sk_live_" + "abcdefghij0123456789",
    "github": "github_pat_" + "abcdefghij0123456789",
    "bearer": "Bearer |abc123def456",
    "header": "Authorization: Basic |dXNlcjpwYXNz",
}
"""The part after `|` is the secret."""
TAUGHT = "examples/recipes/more_traces.yaml"
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
        load_recipe(TAUGHT, [override.format(secret)])
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


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_secret_passes_under_another_name_or_into_text(kind: str) -> None:
    secret = KINDS[kind].split("|")[-1]
    given = KINDS[kind].replace("|", "")
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", [f"rl.extra.words=[{json.dumps(given)}]"])
    assert "rl.extra.words.0: looks like" in str(caught.value)
    for text in (f"  harmless: {given}\n", f"+    key = '{given}'\n", f"x\n{given}\r\n"):
        assert secret not in redact(text)
        assert "harmless" in redact(text) or "harmless" not in text


@pytest.mark.parametrize("line", ["password: {}", "+  db_passwd = '{}'", '"api_key": "{}"'])
def test_a_password_in_a_file_is_told_by_its_name(line: str) -> None:
    text = redact(f"{line.format('hunter22')}\nhost: h")
    assert "hunter22" not in text and text.endswith("\nhost: h")


@pytest.mark.parametrize(
    "text",
    [
        "commit 0123456789abcdef0123456789abcdef01234567",
        "index 0123456789abcdef0123456789abcdef01234567..0000000000000000000000000000000000000000",
        "https://host/models/x/resolve/0123456789abcdef0123456789abcdef01234567/config.json",
        "api_key=os.environ.get(name)",
        "password: str",
        "tokenizer.pad_token = '<|endoftext|>'",
    ],
)
def test_hashes_and_code_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("value", ["/with+a/slash=", "hunter2", "two words and é", "q\"'\\quo"])
def test_a_secret_is_known_in_every_form(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", value)
    for form in (
        value,
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value),
        base64.b64encode(f"user:{value}".encode()).decode(),
        base64.b64encode(f"me:{value}\n".encode()).decode(),
        base64.urlsafe_b64encode(value.encode()).decode(),
    ):
        text = redact(f"Sent {form} away")
        assert REDACTED in text and value not in text and form not in text


def test_the_variable_that_a_recipe_names_is_known_by_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAIN", "n0t-shown")
    monkeypatch.setenv(CONFIGURED, "")
    load_recipe(TAUGHT, ["data.trajectories.teacher.api_key_variable=PLAIN"])
    log = tmp_path / "log"
    echo = [sys.executable, "-c", "import os; print('refused:', os.environ['PLAIN'])"]
    assert list(StageRunner().run(echo, {}, str(tmp_path), str(log)))
    assert log.read_text() == f"refused: {REDACTED}\n"


def test_a_path_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", str(tmp_path))
    assert redact(f"reading {tmp_path}") == f"reading {tmp_path}"


def test_what_would_read_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIN", "n0t-shown")
    for name in ("PLAIN", "UNSET"):
        with pytest.raises(RecipeError, match="x: takes its value from the env") as caught:
            load_recipe("tiny", [f"rl.extra.x='${{oc.env:{name}}}'"])
        assert "n0t-shown" not in str(caught.value)


def test_a_contradiction_shows_no_value() -> None:
    with pytest.raises(RecipeError, match="x: given 2 different values") as caught:
        load_recipe("tiny", ["rl.extra.x=n0t-shown", "rl.extra.x=shown-n0t"])
    assert "n0t" not in str(caught.value)


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
    load_recipe(TAUGHT, [harmless])


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
