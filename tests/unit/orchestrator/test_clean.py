"""What no run needs goes, and nothing else, whatever begins meanwhile."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from data_builders.frame_cache import in_use
from orchestrator.errors import RunLockedError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.run import clean, store
from orchestrator.trace.record import read_record
from tests.unit.orchestrator.finished import finished_run
from tests.unit.orchestrator.test_run_verbs import told


def plan_of(directory: Path, overrides: Sequence[str]) -> Plan:
    return make_plan(load_recipe("tiny", overrides), directory)


def test_clean_runs_shows_first_and_removes_only_what_no_run_links_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = finished_run(tmp_path, "kept")
    arm = finished_run(tmp_path, "sweep/arm", ["seed=8"])
    loose = finished_run(tmp_path, "kept", ["seed=9"]).stage("data")
    store.show_in_run(kept, kept.stage("data"))
    for number in (1, 2, 10):
        log = kept.stage("data").directory / "logs" / f"attempt_{number}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("x")
    frames = tmp_path / ".cache" / "frames"
    with in_use(frames):
        (frames / "frame").write_text("x")
    code, text = told(capsys, tmp_path, "clean-runs")
    assert code == 0 and "would be freed; add yes=true" in text
    assert f"{loose.fingerprint} no run links to it" in text
    assert "attempt_1.log" in text and "attempt_2.log" in text and "attempt_10.log" not in text
    assert loose.directory.exists()
    with store.owned(loose):
        assert (
            "another process is working with it"
            in told(capsys, tmp_path, "clean-runs", "yes=true")[1]
        )
    assert loose.directory.exists()
    told(capsys, tmp_path, "clean-runs", "yes=true")
    assert not loose.directory.exists()
    assert read_record(tmp_path, "kept").manifests and read_record(tmp_path, "sweep/arm").manifests
    assert arm.stage("data").directory.exists()
    assert (frames / "frame").exists()
    with in_use(frames):
        assert (
            "working with it" in told(capsys, tmp_path, "clean-runs", "yes=true", "caches=true")[1]
        )
    assert (frames / "frame").exists()
    told(capsys, tmp_path, "clean-runs", "yes=true", "caches=true")
    assert not frames.exists()


def test_clean_runs_touches_nothing_that_was_not_made_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = [f".stages/sft/{name}" for name in ("mine", "0123456789abcdef")]
    mine += [".cache/frames/0123", ".stages/sft/manifest.json"]
    for name in mine:
        (tmp_path / name).mkdir(parents=True)
    code, text = told(capsys, tmp_path, "clean-runs", "yes=true", "caches=true")
    assert code == 0 and "0.0 MB freed" in text
    assert all((tmp_path / name).is_dir() for name in mine)


def test_a_stage_that_a_run_links_after_the_listing_stays(tmp_path: Path) -> None:
    plan = finished_run(tmp_path, "kept")
    stage = plan.stage("data")
    link = plan.directory / "data"
    link.unlink()
    (waste,) = clean.find_waste(tmp_path, caches=False)
    assert store.reuse(plan, stage)
    assert clean.remove(tmp_path, waste) == "a run uses it now"
    assert link.resolve() == stage.directory.resolve() and store.is_done(stage)


def test_what_an_interrupted_stage_left_stays_until_its_run_begins_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = (plan_of(tmp_path, overrides) for overrides in ((), ("seed=9",)))
    left = before.stage("sft").directory / "checkpoints" / "checkpoint-4"
    with store.owned(before.stage("sft")):
        store.claim(before, before.stage("sft"))
        left.mkdir(parents=True)
    told(capsys, tmp_path, "clean-runs", "yes=true")
    assert left.is_dir()
    store.claim(after, after.stage("sft"))
    told(capsys, tmp_path, "clean-runs", "yes=true")
    assert not left.exists()


def test_stages_that_are_begun_and_removed_at_the_same_time_are_whole_or_gone(
    tmp_path: Path,
) -> None:
    plan = plan_of(tmp_path, ())
    stage, ended = plan.stage("data"), Event()

    def clean_all() -> None:
        while not ended.is_set():
            for waste in clean.find_waste(tmp_path, caches=False):
                clean.remove(tmp_path, waste)

    with ThreadPoolExecutor(1) as pool:
        cleaning = pool.submit(clean_all)
        for _ in range(100):
            with suppress(RunLockedError), store.owned(stage):
                store.claim(plan, stage)
                store.write_files(stage)
                store.finish(stage, {})
                assert (stage.directory / "data.json").is_file()
            (plan.directory / ".data").unlink(missing_ok=True)
        ended.set()
        cleaning.result()


def test_six_commands_at_once_do_not_crash_each_other(tmp_path: Path) -> None:
    finished_run(tmp_path, "tiny", stages=("data", "model"))
    verbs = ["plan recipe=tiny", "plan recipe=tiny", "status recipe=tiny", "show run=tiny"]
    verbs += ["model recipe=tiny", "data recipe=tiny", "clean-runs yes=true", "show run=tiny"]
    command = [sys.executable, "-m", "orchestrator"]
    for _ in range(2):
        started = [
            subprocess.Popen(
                [*command, *verb.split(), f"runs_dir={tmp_path}"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for verb in verbs
        ]
        ended = [(process.communicate(timeout=120)[0], process.returncode) for process in started]
        assert [code for _, code in ended] == [0] * len(verbs), ended
