"""A finished stage whose files are not all there, whole, is noticed, and made whole again."""

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.console import Console
from orchestrator.plan import whole
from orchestrator.plan.make import Plan
from orchestrator.plan.outputs import LACKING, LISTING, MANIFEST
from orchestrator.run import launch, store
from orchestrator.run.execute import Attempted
from tests.unit.orchestrator.finished import finished_run
from tests.unit.orchestrator.test_run_verbs import told

CLIPS = tuple(f"clips/{number}.mp4" for number in range(20))
LEAVES = {"data": [*CLIPS, "test.parquet"], "model": ["checkpoint/model.safetensors"]}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return finished_run(tmp_path, "tiny", stages=("data", "model"), leaving=LEAVES)


@pytest.fixture
def data(plan: Plan) -> Path:
    return plan.stage("data").directory


def status(capsys: pytest.CaptureFixture[str], plan: Plan, *options: str) -> tuple[int, str]:
    return told(capsys, plan.directory.parent, "status", "recipe=tiny", *options)


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Another byte, and the old dates."""
    dates, content = path.stat(), bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)
    os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))


def later(directory: Path, name: str) -> None:
    after = (directory / MANIFEST).stat().st_mtime_ns + 10**9
    os.utime(directory / name, ns=(after, after))


def test_a_whole_run_is_whole(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = status(capsys, plan, "deep=true")
    assert code == 0 and "✔ data" in text and "✔ model" in text and "✘" not in text


def test_one_byte_in_any_file_is_noticed_by_its_name(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    store_files = [p for p in plan.directory.parent.rglob("*") if p.is_file()]
    files = [path for path in store_files if not path.name.startswith(".") and path.stat().st_size]
    assert len(files) > 25
    choose = random.Random(0)
    for path in files:
        before = path.read_bytes()
        flip(path, choose.randrange(len(before)), choose.randrange(8))
        code, text = status(capsys, plan, "deep=true")
        assert code == 1 and "✘" in text
        assert path.name.replace(store.RECIPE_SUM, store.RECIPE) in text
        path.write_bytes(before)
        os.utime(path, ns=(0, 0))
    assert status(capsys, plan, "deep=true")[0] == 0


def test_every_byte_of_a_manifest_is_sealed(data: Path) -> None:
    whole.write_manifest(data, {"started": 1.5, "files": {"é": "x\n"}})
    assert whole.read_manifest(data) == {"started": 1.5, "files": {"é": "x\n"}}
    for at in range((data / MANIFEST).stat().st_size):
        flip(data / MANIFEST, at, at % 8)
        with pytest.raises(whole.DamageError, match=MANIFEST):
            whole.read_manifest(data)
        flip(data / MANIFEST, at, at % 8)


def remove(directory: Path) -> None:
    (directory / "test.parquet").unlink()


def replace_by_folder(directory: Path) -> None:
    remove(directory)
    (directory / "test.parquet").mkdir()


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda directory: (directory / name).write_text(text)


HARMS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file": (remove, "test.parquet is gone"),
    "a folder": (replace_by_folder, "test.parquet is gone"),
    "no listing": (lambda directory: (directory / LISTING).unlink(), LISTING),
    "half a listing": (write(LISTING, "0123"), LISTING),
    "no manifest": (write(MANIFEST, ""), MANIFEST),
    "a list": (write(MANIFEST, "[]"), MANIFEST),
    "deep": (write(MANIFEST, "[" * 10**5), MANIFEST),
    "another": (write(MANIFEST, '{"seal": "", "outputs": {}}\n'), MANIFEST),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_stage_that_is_not_whole_is_not_done_and_says_why(
    harm: str, plan: Plan, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, why = HARMS[harm]
    work(data)
    assert not store.is_done(plan.stage("data")) and store.is_done(plan.stage("model"))
    for deep in ("false", "true"):
        code, text = status(capsys, plan, f"deep={deep}")
        assert code == (deep == "true")
        assert "✘ data not whole; its next run goes on" in text and why in text


def test_it_runs_again_and_says_why(
    plan: Plan, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(data)
    (data / CLIPS[0]).unlink()
    begun: list[bool] = []

    def attempt(*_: object) -> Attempted:
        begun.append(whole.is_finished(data))
        (data / "test.parquet").write_text("0 data")
        return Attempted({}, [0.0])

    monkeypatch.setattr(launch, "attempt", attempt)
    launch._bring(plan, plan.stage("data"), None, Console())  # type: ignore[arg-type]
    assert begun == [False]  # killed now, it is not done
    said = capsys.readouterr().out
    assert "data again: test.parquet is gone" in said
    assert f"data: not made again, as no update was: {CLIPS[0]}" in said
    assert store.is_done(plan.stage("data"))


def test_a_run_whose_manifest_is_damaged_is_an_error_that_says_what_to_do(
    plan: Plan, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(data / MANIFEST, 40)
    for verb in ("show", "publish", "repro"):
        code, text = told(capsys, plan.directory.parent, verb, "run=tiny")
        assert code == 1 and "is not as it was written; give the command" in text


@pytest.mark.parametrize("text", ["{", "[]", "\udcff", "[" * 10**5])
def test_a_damaged_recipe_of_a_run_is_an_error(
    text: str, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    (plan.directory / "recipe.json").write_bytes(text.encode(errors="surrogateescape"))
    code, text = told(capsys, plan.directory.parent, "show", "run=tiny")
    assert code == 1 and "recipe.json is" in text and "the next run makes it again" in text
    store.show_in_run(plan, plan.stage("data"))
    subprocess.run(["sha256sum", "-c", "recipe.sha256"], cwd=plan.directory, check=True)


def test_damaged_words_about_what_a_stage_lacks_are_an_error(
    plan: Plan, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / LACKING).write_text("[")
    code, text = status(capsys, plan)
    assert code == 1 and f"{LACKING} is not JSON" in text and "makes it again" in text


def test_what_the_user_changes_is_a_change_and_no_fault(
    plan: Plan, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert whole.modified(data) == {}
    later(data, CLIPS[0])
    assert whole.modified(data) == {}
    (data / CLIPS[0]).write_bytes(b"b")
    later(data, CLIPS[0])
    assert whole.modified(data) == {CLIPS[0]: hashlib.sha256(b"b").hexdigest()}
    code, text = status(capsys, plan)
    assert code == 0 and f"✔ data done, fingerprint {data.name} changed since" in text


def test_a_log_that_is_cleaned_away_or_of_the_users_is_no_fault(plan: Plan, data: Path) -> None:
    logs = data / "logs"
    logs.mkdir()
    for name in ("attempt_1.log", "attempt_old.log"):
        (logs / name).write_text("x")
    manifest = whole.read_manifest(data)
    assert json.loads((data / MANIFEST).read_text()).keys() - manifest.keys() == {"seal"}
    whole.write_manifest(data, {**manifest, whole.BESIDE: {"logs/attempt_1.log": "0"}})
    assert [*whole.damage(data)] == ["logs/attempt_1.log was changed; no result reads it"]
    (logs / "attempt_1.log").unlink()
    assert [*whole.damage(data)] == []
    assert store.is_done(plan.stage("data"))


def test_deep_is_true_or_false(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "recipe=tiny", "deep=yes"]) == 1
    assert "deep=yes: expected true or false" in capsys.readouterr().err
