"""The manifest of a stage tells everything that its result came from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.plan.digests import sha256
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.whole import read_listing, read_manifest
from orchestrator.recipe import load_recipe
from orchestrator.run import manifest, provenance, store
from orchestrator.run.attempts import Attempts, read_attempts

TOKEN = "hf_" + "a1B2" * 9


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(load_recipe("tiny"), tmp_path)


def finish(plan: Plan, stage: Stage) -> dict[str, object]:
    store.write_files(stage)
    origin = manifest.origin(plan, stage)
    (stage.directory / "test.parquet").write_bytes(b"questions")
    store.finish(stage, {**origin, **manifest.result(stage)})
    return read_manifest(stage.directory)


def test_it_says_what_was_made_from_what(plan: Plan) -> None:
    data, model = plan.stage("data"), plan.stage("model")
    made = finish(plan, data)
    assert made["recipe"] == plan.recipe.model_dump(mode="json")
    assert made["seeds"].items() >= {"seed": 0, "data.synthetic.seed": 0}.items()  # type: ignore[attr-defined]
    assert made["files"] == {"data.json": next(iter(data.files.values()))}
    assert read_listing(data.directory).keys() == {"test.parquet"}
    command = made["commands"][0]  # type: ignore[index]
    assert command["argv"][:2] == ["-m", "data_builders.build"]
    assert manifest.origin(plan, model)["inputs"] == {
        "data": {"fingerprint": data.fingerprint, "sha256": made["outputs"]["sha256"]}  # type: ignore[index]
    }


def test_it_says_what_was_installed(plan: Plan) -> None:
    made = finish(plan, plan.stage("data"))
    installed = (plan.stage("data").directory / "provenance" / "orchestrator.txt").read_text()
    assert "ray==2.60.0" in installed
    found = made["environments"]["orchestrator"]  # type: ignore[index]
    assert found["lock"] == plan.stage("data").ingredients["environment orchestrator"]
    assert found["python"] == sys.version.split()[0]


def test_the_code_that_ran_can_be_had_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "a.py").write_text("x = 1\n")
    git("add", "a.py")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    clean, patch = provenance.code()
    assert (clean["dirty"], clean["diff"], patch) == (False, None, "")
    assert len(clean["commit"]) == 40
    (tmp_path / "a.py").write_text("x = 2\n")
    (tmp_path / "recipes").mkdir()
    new = tmp_path / "recipes" / "new.yaml"
    new.write_text(f"y: 3\nmine: {TOKEN}\n")
    (tmp_path / "clip.mp4").write_bytes(bytes(100))
    (tmp_path / "notes.txt").write_text("the user's own\n")
    dirty, patch = provenance.code()
    assert TOKEN not in patch and "mine: [redacted]" in patch
    assert "own" not in patch
    assert f"# not stored: {sha256(tmp_path / 'notes.txt')}  notes.txt\n" in patch
    assert dirty["dirty"] and dirty["commit"] == clean["commit"]
    git("checkout", "a.py")
    new.unlink()
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "patch").write_text(patch)
    git("apply", "patch")
    assert (tmp_path / "a.py").read_text() == "x = 2\n"
    assert new.read_text() == "y: 3\nmine: [redacted]\n"


def test_a_copy_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    assert provenance.code() == ({"commit": None, "dirty": False, "diff": None}, "")


def test_the_last_numbers_of_a_trainer_are_kept(plan: Plan) -> None:
    stage = plan.stage("sft")
    (stage.directory / "checkpoints").mkdir(parents=True)
    rows = [{"current_steps": 1, "loss": 2.0}, {"current_steps": 2, "loss": 1.5}, {"done": True}]
    log = stage.directory / "checkpoints" / "trainer_log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert manifest.metrics(stage) == {"current_steps": 2, "loss": 1.5}


def test_attempts_are_the_launchers_notes(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "attempt_1.log").touch()
    Attempts(tmp_path).start(None)
    Attempts(tmp_path).start(tmp_path / "step-2")
    lost, running = read_attempts(tmp_path)
    assert (lost.outcome, running.outcome) == ("lost", "running")
    assert Path(running.log).name == "attempt_3.log" and running.resumed_from == "step-2"


def test_the_machine_is_told() -> None:
    found = provenance.machine()
    assert found["cpus"] >= 1 and found["memory_bytes"] > 2**28 and found["cpu"]
