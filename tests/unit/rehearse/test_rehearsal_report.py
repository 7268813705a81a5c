"""The table is kept where the doctor and people find it."""

import io
import json
from pathlib import Path

import rich.console

from orchestrator.console import Console
from orchestrator.doctor.rehearsal import rehearsal
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe
from orchestrator.rehearse.changes import Change
from orchestrator.rehearse.report import Invariant, Report

HELD = Invariant("rl: updates", "1 to 3, each once", "1 to 3", True)
BROKEN = Invariant("rl: KL | reference", "at most 0.1", "0.3", False)
CHANGE = Change("cluster.device", "cuda", "cpu", "hardware")


def report(*rows: Invariant) -> Report:
    return Report("camreasoner_7b", [CHANGE], rows, ["fetching"])


def test_both_files_tell_changes_verdicts_and_what_is_not_covered(tmp_path: Path) -> None:
    report(HELD, BROKEN).write(tmp_path)
    facts = json.loads((tmp_path / "rehearsal.json").read_text())
    assert facts["changes"] == [CHANGE._asdict()] and facts["not_covered"] == ["fetching"]
    assert [row["right"] for row in facts["invariants"]] == [True, False]
    text = (tmp_path / "rehearsal.md").read_text()
    assert r"| ✘ | rl: KL \| reference | at most 0.1 | 0.3 |" in text
    assert "| ✔ | rl: updates |" in text and "- fetching" in text
    assert "| cluster.device | cuda | cpu | hardware |" in text


def test_the_table_is_shown() -> None:
    console = Console()
    console.out = rich.console.Console(file=io.StringIO(), width=200)
    report(HELD, BROKEN).show(console)
    shown = console.out.file.getvalue()  # type: ignore[attr-defined]
    assert "✔" in shown and "✘" in shown and "fetching" in shown


def test_the_doctor_asks_for_a_rehearsal_and_reads_it(tmp_path: Path) -> None:
    plan = make_plan(load_recipe("camreasoner_7b"), tmp_path)
    (verdict,) = rehearsal(plan)
    assert verdict[0] is None and "make rehearse RECIPE=camreasoner_7b" in verdict[1]
    report(HELD).write(plan.directory)
    (verdict,) = rehearsal(plan)
    assert verdict[0] is True and "all 1 invariants held" in verdict[1]
    report(HELD, BROKEN).write(plan.directory)
    (verdict,) = rehearsal(plan)
    assert verdict[0] is False and "rl: KL | reference did not hold" in verdict[1]
    assert list(rehearsal(make_plan(load_recipe("tiny"), tmp_path))) == []
