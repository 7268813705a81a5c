"""The report while a run goes on: in a process of its own, at a hundredth of a core."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import rich.console

from orchestrator.console import Console
from orchestrator.plan.make import Plan, make_plan
from orchestrator.recipe import load_recipe
from orchestrator.report.__main__ import main
from orchestrator.run import refresh, store
from orchestrator.run.refresh import FIRST_SECONDS, Refresher, command, refreshed


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(load_recipe("tiny"), tmp_path)


def log_step(plan: Plan, step: int) -> None:
    path = plan.stage("rl").directory / "metrics.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        row = {"step": step, "data": {"reward/score": 0.5, "ema_grpo/std/binary": 0.4}}
        file.write(json.dumps(row) + "\n")


def console_to(out: io.StringIO) -> Console:
    console = Console()
    console.out = rich.console.Console(file=out, width=200)
    return console


def test_refreshes_take_a_hundredth_of_a_core_and_need_new_metrics(
    plan: Plan, tmp_path: Path
) -> None:
    refresher = Refresher(["true"], plan.stage("rl"), tmp_path / "live.log", Console())
    early, due = 100 * FIRST_SECONDS - 1, 100 * FIRST_SECONDS + 1
    assert not refresher.is_due(early, written=9e9)
    assert refresher.is_due(due, written=9e9)
    assert not refresher.is_due(due, written=0.0)
    assert refresher._refresh()
    assert 0 < refresher._spent < 1 and refresher._cost == refresher._spent


def test_the_report_of_a_run_that_goes_on_shows_its_curves_and_loads_itself_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        log_step(plan, step)
    monkeypatch.setattr(refresh, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(refresh, "LOOK_SECONDS", 0.01)
    with refreshed(plan, plan.stage("rl"), Console()):
        assert not store.is_done(plan.stage("report"))
    page = plan.directory / "report"
    assert page.resolve() == plan.stage("report").directory
    argv = command(plan.stage("report"))
    assert argv[:3] == ["nice", "-n", "19"] and argv[5] == "orchestrator.report"
    main(argv[6:])
    text = (page / "report.html").read_text()
    assert '<meta http-equiv="refresh"' in text and "rl curves" in text
    assert "Not run yet: make eval" in text
    main(argv[6:-1])
    assert "http-equiv" not in (page / "report.html").read_text()


def test_a_refresh_is_made_in_the_background_and_a_failing_one_is_told(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(refresh, "FIRST_SECONDS", 0.0)
    out = io.StringIO()
    argv = [sys.executable, "-c", "import sys; sys.exit('no figures today')"]
    refresher = Refresher(argv, plan.stage("rl"), tmp_path / "live.log", console_to(out))
    log_step(plan, 1)
    refresher.start()
    refresher.join()
    assert "can't be refreshed" in out.getvalue()
    assert "no figures today" in (tmp_path / "live.log").read_text()


def test_a_refresh_under_way_ends_with_the_stage(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(refresh, "FIRST_SECONDS", 0.0)
    out, pid = io.StringIO(), tmp_path / "pid"
    os.mkfifo(pid)
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    log = tmp_path / "live.log"
    refresher = Refresher([sys.executable, "-c", code], plan.stage("rl"), log, console_to(out))
    log_step(plan, 1)
    refresher.start()
    process = int(pid.read_text())
    refresher.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert out.getvalue() == ""


def test_only_training_is_watched(plan: Plan) -> None:
    with refreshed(plan, plan.stage("eval"), Console()):
        pass
    only = replace(plan, stages=(plan.stage("rl"),))
    with refreshed(only, only.stage("rl"), Console()):
        pass
    assert not (plan.directory / "report").exists()
