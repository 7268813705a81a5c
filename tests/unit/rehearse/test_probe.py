"""Where a rehearsal asks how tokens are numbered."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator import envs
from orchestrator.errors import StageError
from orchestrator.plan.make import make_plan
from orchestrator.rehearse import probe
from orchestrator.rehearse.changes import load_spec, rehearsed


@pytest.mark.parametrize(("device", "environment"), [("cpu", "vllm-cpu"), ("cuda", "eval-gpu")])
def test_the_environment_that_evaluates_is_asked(
    device: str, environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        assert (Path(options["env"]["PYTHONPATH"]) / "orchestrator").is_dir()
        return subprocess.CompletedProcess(command, 0, 'FOUND {"furthest": 0, "prompts": 8}\n', "")

    monkeypatch.setattr(probe.subprocess, "run", run)
    plan = make_plan(rehearsed("camreasoner_7b", [], load_spec(device))[1], tmp_path)
    assert probe.numbering(plan, "rl") == {"furthest": 0, "prompts": 8}
    assert asked[0][0] == str(envs.interpreter(environment))


def test_an_environment_that_can_not_tell_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = subprocess.CompletedProcess([], 1, "", "ImportError: no vllm")
    monkeypatch.setattr(probe.subprocess, "run", lambda *_, **__: silent)
    plan = make_plan(rehearsed("camreasoner_7b", [], load_spec("cpu"))[1], tmp_path)
    with pytest.raises(StageError, match=r"vllm-cpu.*found nothing:\nImportError: no vllm"):
        probe.numbering(plan, "sft")
