"""Publishing, against a local server that speaks the Hub's protocol, and misbehaves on request."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants
from upload_hub import XET_TOKEN, FakeHub

from orchestrator import cli
from orchestrator.errors import PublishError
from orchestrator.publish.card import base_license
from orchestrator.publish.package import Package, pack
from orchestrator.publish.upload import upload
from orchestrator.trace.record import Record

REPO = "me/policy"
OURS = "Bearer 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"


def push(hub: FakeHub, package: Package, **more: object) -> str:
    given = {"endpoint": hub.url, "pause": 0.01, "seconds": 0.5, **more}
    return upload(package, REPO, "Publish it", **given)  # type: ignore[arg-type]


def arrived(hub: FakeHub, package: Package) -> bool:
    files = hub.repos[REPO]["files"]
    wanted = {name: path.read_bytes() for name, path in package.files.items()}
    return bool(files == {**wanted, "README.md": package.card.encode()})


def test_a_policy_arrives_whole_and_private(hub: FakeHub, record: Record) -> None:
    package = pack(record, "rl")
    assert sorted(package.files) == ["config.json", "model.safetensors", "tokenizer.json"]
    address = push(hub, package)
    assert address.endswith(f"{REPO}/commit/{'c' * 40}")
    assert arrived(hub, package)
    assert hub.repos[REPO]["private"] and hub.repos[REPO]["type"] == "model"
    assert hub.requests.count("put") == 3  # the weights, in parts
    assert set().union(*hub.tokens.values()) - {None} == {OURS}


@pytest.mark.parametrize("route", ["token", "xorbs", "shards"])
@pytest.mark.parametrize("faults", [[], ["500"], ["cut"]])
def test_a_policy_arrives_through_xet_too(
    hub: FakeHub, package: Package, monkeypatch: pytest.MonkeyPatch, route: str, faults: list[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    content = random.Random(f"{route} {faults}").randbytes(200_000)  # which Xet can't compress
    package.files["model.safetensors"].write_bytes(content)
    hub.faults[route] = list(faults)
    push(hub, package)
    assert arrived(hub, package) and not hub.faults[route]
    assert "put" not in hub.requests
    assert hub.tokens["xorbs"] == hub.tokens["shards"] == {f"Bearer {XET_TOKEN}"}
    assert hub.tokens["commit"] == hub.tokens["token"] == {OURS}


def test_questions_and_our_own_clips_arrive_as_a_data_set(hub: FakeHub, record: Record) -> None:
    package = pack(record, "data")
    assert "clips/a/1.mp4" in package.files and "sft.parquet" in package.files
    push(hub, package)
    assert arrived(hub, package) and hub.repos[REPO]["type"] == "dataset"


def test_clips_of_others_stay_here(record: Record) -> None:
    recipe = {**record.recipe, "data": {**record.recipe["data"], "sources": ["camerabench"]}}
    package = pack(replace(record, recipe=recipe), "data")
    assert not any(name.startswith("clips/") for name in package.files)
    assert "stay here" in package.notes[0]
    assert "license: other" in package.card


@pytest.mark.parametrize("route", ["create", "info", "validate", "preupload", "batch", "put"])
@pytest.mark.parametrize("faults", [["500"], ["503", "429"], ["cut"], ["stall"]])
def test_passing_faults_are_bridged(
    hub: FakeHub, package: Package, route: str, faults: list[str]
) -> None:
    hub.faults[route] = list(faults)
    push(hub, package)
    assert arrived(hub, package) and not hub.faults[route]


@pytest.mark.parametrize("route", ["complete", "verify", "commit"])
@pytest.mark.parametrize("faults", [["502"], ["cut"], ["stall", "500"]])
def test_passing_faults_at_the_end_are_bridged(
    hub: FakeHub, package: Package, route: str, faults: list[str]
) -> None:
    hub.faults[route] = list(faults)
    push(hub, package)
    assert arrived(hub, package) and not hub.faults[route]


def test_a_part_that_arrives_corrupt_is_refused_and_can_be_sent_again(
    hub: FakeHub, package: Package
) -> None:
    hub.faults["put"] = ["corrupt"]
    with pytest.raises(PublishError, match="publish again"):
        push(hub, package, attempts=1)
    assert hub.repos[REPO]["files"] == {}
    push(hub, package)
    assert arrived(hub, package)


def test_what_arrived_before_a_failure_is_not_sent_again(hub: FakeHub, package: Package) -> None:
    hub.faults["commit"] = ["500"] * 50
    with pytest.raises(PublishError, match=r"(?s)publishing me/policy failed.*publish again"):
        push(hub, package, attempts=2)
    assert hub.repos[REPO]["files"] == {}
    hub.faults.clear()
    sent = hub.requests.count("put")
    push(hub, package)
    assert arrived(hub, package) and hub.requests.count("put") == sent


def test_a_file_that_is_other_there_is_an_error(
    hub: FakeHub, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_verify", lambda path, body: (200, {}, {}))
    hub.faults["put"] = ["corrupt"]
    with pytest.raises(PublishError, match=r"arrived other than sent: model\.safetensors"):
        push(hub, package)


@pytest.mark.parametrize(("status", "said"), [("401", "HF_TOKEN"), ("403", "write access to me")])
def test_a_token_without_the_right_is_an_error_that_says_so(
    hub: FakeHub, package: Package, status: str, said: str
) -> None:
    hub.faults["create"] = [status] * 3
    hub.faults["info"] = [status] * 3
    with pytest.raises(PublishError, match=said):
        push(hub, package)


def test_nothing_private_goes_to_a_public_repository(hub: FakeHub, package: Package) -> None:
    hub.repos[REPO] = {"private": False, "type": "model", "files": {}}
    with pytest.raises(PublishError, match="is there and public"):
        push(hub, package)
    assert hub.repos[REPO]["files"] == {}
    push(hub, package, private=False)
    assert hub.repos[REPO]["files"]


def test_an_unplugged_network_is_an_error_that_says_so(hub: FakeHub, package: Package) -> None:
    with pytest.raises(PublishError, match=r"failed: ConnectError.*HF_ENDPOINT"):
        push(hub, package, endpoint="http://127.0.0.1:9", attempts=2)


def test_offline_mode_is_an_error(
    hub: FakeHub, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PublishError, match="HF_HUB_OFFLINE is set"):
        push(hub, package)
    assert hub.requests == []


def test_the_card_tells_results_data_recipe_and_licence(record: Record) -> None:
    card = pack(record, "rl").card
    _, header, text = card.split("---\n", 2)
    assert yaml.safe_load(header)["license"] == "apache-2.0"
    assert "| rl | 75.0 | 60.0 to 85.0 |" in text
    assert "60 questions about 30 clips; guessing scores 50.0 %" in text
    assert "7,000,000 parameters in bfloat16, trained in float32" in text
    recipe = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    assert recipe["rl"] == record.recipe["rl"] and "cluster" not in recipe
    assert recipe["stages"]["rl"] == {"kind": "rl", "start": "sft:step:600", "questions": "rl"}
    assert record.manifests["rl"]["outputs"]["sha256"][:16] in text
    assert record.manifests["rl"]["machine"]["hostname"] not in text.replace("`", " ").split()


@pytest.mark.parametrize(
    ("card", "fields", "words"),
    [
        ("license: apache-2.0", {"license": "apache-2.0"}, "apache-2.0, as the base model"),
        (
            "license: other\nlicense_name: qwen-research\nlicense_link: https://h.co/LICENSE",
            {"license": "other", "license_name": "qwen-research"},
            "qwen-research (https://h.co/LICENSE), as the base model",
        ),
        ("tags: [a]", {}, "unknown"),
        (None, {}, "unknown"),
    ],
)
def test_the_licence_is_the_base_models(
    tmp_path: Path, card: str | None, fields: dict[str, str], words: str
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(f"---\n{card}\n---\n# Qwen\n")
    known, told = base_license(tmp_path)
    assert words in told and fields.items() <= known.items()


def test_a_file_with_a_secret_is_not_published(record: Record) -> None:
    path = record.directory / "rl" / "last" / "config.json"
    path.write_text(json.dumps({"token": "hf_" + "a1B2" * 9}))
    with pytest.raises(PublishError, match=r"config\.json holds what looks like a secret"):
        pack(record, "rl")


def test_a_result_that_is_not_there_is_an_error(record: Record) -> None:
    for name in ("sft:step:600", "rl:step:20", "base", "other"):
        with pytest.raises(PublishError, match=f"no finished {name}: .*; there: rl$"):
            pack(record, name)
    with pytest.raises(PublishError, match=r"what=rl:best: .*base \| <stage>.*, or data"):
        pack(record, "rl:best")


def test_a_checkpoint_is_published_by_its_step(record: Record) -> None:
    last, step = pack(record, "rl"), pack(record, "rl:step:30")
    assert [path.read_bytes() for path in last.files.values()] == [
        path.read_bytes() for path in step.files.values()
    ]
    assert "trained in float32" in step.card


def test_everything_is_shown_before_it_is_confirmed(
    hub: FakeHub,
    record: Record,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.publish.upload.constants.ENDPOINT", hub.url)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    where = ["publish", "run=tiny", f"runs_dir={record.directory.parent}"]
    assert cli.main(where) == 0
    assert cli.main([*where, f"repo={REPO}"]) == 0
    shown = capsys.readouterr().out
    assert "private model" in shown and "model.safetensors" in shown and "nothing was sent" in shown
    assert hub.requests == []
    assert (record.directory / "publish" / "rl" / "README.md").is_file()
    for wrong in ("repo=policy", "what=ema", "private=no"):
        assert cli.main([*where, wrong]) == 1
    capsys.readouterr()
    assert cli.main([*where, f"repo={REPO}", "confirm=true"]) == 0
    assert "published" in capsys.readouterr().out
    assert hub.repos[REPO]["private"]
