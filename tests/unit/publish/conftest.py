"""A finished run with a policy, and a server to publish it to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils import disable_progress_bars
from huggingface_hub.utils._http import default_client_factory
from upload_hub import FakeHub

from orchestrator.plan.whole import read_manifest, write_manifest
from orchestrator.publish.package import Package
from orchestrator.trace.record import Record, read_record
from tests.unit.orchestrator.finished import finished_run

POLICY = ["step-30/model.safetensors", "step-30/config.json", "step-30/tokenizer.json"]
CHECK = {
    "parameters": 7_000_000,
    "trained_in": ["float32"],
    "written_in": "bfloat16",
    "weights_differing": 0,
    "kl_nats_per_token": 1.2e-5,
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the Hub then takes Git LFS
    monkeypatch.setenv("HF_XET_CACHE", str(tmp_path / "xet"))
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN", "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")
    disable_progress_bars()
    with FakeHub() as fake:
        yield fake
    set_client_factory(default_client_factory)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A checkpoint of two files, one of them in three parts."""
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    weights.write_bytes(bytes(range(256)) * 40)
    config.write_text("{}")
    return Package("model", {path.name: path for path in (weights, config)}, "---\n---\n# It\n")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    leaving = {
        "rl": [*POLICY, "step-30/training_args.bin"],
        "data": ["sft.parquet", "test.parquet", "clips/a/1.mp4", "clips/a/2.mp4"],
    }
    stages = ("data", "model", "rl", "eval")
    plan = finished_run(tmp_path, "tiny", stages=stages, leaving=leaving)
    rl = plan.stage("rl").directory
    (rl / POLICY[0]).write_bytes(bytes(range(256)) * 40)
    (rl / "last").symlink_to("step-30")
    metrics = {"step": 30, "merge": {"step-30": CHECK}}
    write_manifest(rl, {**read_manifest(rl), "metrics": metrics})
    shown = {"n": 60, "accuracy": 0.75, "rewarded": 0.75, "interval": [0.6, 0.85], "format": 1.0}
    shown |= {"answered": 1.0, "errors": 0}
    found = {"n": 60, "clips": 30, "checkpoints": {"rl": {"shown": {"all": shown}}}, "pairs": []}
    found["baselines"] = {"all": {"chance": 0.5}}
    scores = json.dumps({**found, "benchmarks": {"held_out": found}})
    (tmp_path / "tiny" / "eval" / "scores.json").write_text(scores)
    return read_record(tmp_path, "tiny")
