"""All runs in one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console as Screen

from orchestrator import cli
from orchestrator.report.table import Line
from orchestrator.trace.index import Entry, _table, differences, entries, write_index
from tests.unit.orchestrator.finished import finished_run

LINE = Line("rl", 648, 0.96, 0.95, (0.94, 0.97), None, 1.0, 1.0, 0, None, None, None, None)


def entry(name: str, **changes: object) -> Entry:
    own = Entry(name, 1.8e9, 75.0, {"sft": "loss 0.123"}, {"seed": "0"}, {}, None)
    return own._replace(**changes)


def test_runs_are_listed_newest_first_with_what_they_finished(tmp_path: Path) -> None:
    for name in ("first", "second"):
        plan = finished_run(tmp_path, name, [f"name={name}", f"seed={len(name)}"], ("data",))
        (plan.directory / "recipe.json").write_text(plan.recipe.model_dump_json())
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "recipe.json").write_text(json.dumps({"name": "third"}))
    (tmp_path / "no run").mkdir()
    every = entries(tmp_path)
    assert [each.name for each in every] == ["first", "second", "third"]
    assert [list(each.stages) for each in every] == [["data"], ["data"], []]
    assert "seed" in differences(every)


@pytest.mark.parametrize("harm", ["recipe.json", "data/manifest.json"])
def test_a_damaged_run_hides_no_other(tmp_path: Path, harm: str) -> None:
    for name in ("one", "other"):
        plan = finished_run(tmp_path, name, [f"seed={len(name)}"])
        (plan.directory / "recipe.json").write_text(plan.recipe.model_dump_json())
    (tmp_path / "other" / harm).write_text("{")
    sound, damaged = entries(tmp_path)
    assert sound.name == "one" and sound.fault is None and sound.stages
    assert damaged.name == "other" and damaged.fault and harm.rpartition("/")[2] in damaged.fault
    assert damaged.fault.partition(":")[0] in write_index(tmp_path, [sound, damaged]).read_text()


def test_an_evaluation_that_answered_nothing_has_no_score(tmp_path: Path) -> None:
    plan = finished_run(tmp_path, "one", stages=("data", "model", "sft", "rl", "eval"))
    (plan.directory / "recipe.json").write_text(plan.recipe.model_dump_json())
    board = {"checkpoints": {"rl": {"shown": {"all": {"n": 0}}}}}
    (plan.stage("eval").directory / "scores.json").write_text(
        json.dumps({"benchmarks": {"held_out": board}})
    )
    assert entries(tmp_path)[0].scores == {}


def test_the_page_links_reports_and_shows_what_differs(tmp_path: Path) -> None:
    every = [
        entry("<b>&", scores={"held_out": LINE}, report="a b/report/report.html"),
        entry("two", settings={"seed": "1"}, started=0.0, seconds=0.0, stages={}),
    ]
    text = write_index(tmp_path, every).read_text()
    assert '<a href="a%20b/report/report.html">&lt;b&gt;&amp;</a>' in text
    assert "<b>96.0</b><small>94.0 to 97.0, rl, n = 648</small>" in text
    assert "<th>seed</th>" in text and "nothing yet" in text
    same = write_index(tmp_path, [entry("one"), entry("two")]).read_text()
    assert "<th>seed</th>" not in same


def test_the_terminal_shows_each_benchmark_in_a_column() -> None:
    screen = Screen(width=120, record=True)
    screen.print(_table([entry("one", scores={"held_out": LINE}), entry("two")]))
    text = screen.export_text()
    assert "held_out, %" in text and "rl 96.0" in text and "1 min 15 s" in text


def test_show_without_a_run_is_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["show", f"runs_dir={tmp_path}"]) == 0
    assert "no run in" in capsys.readouterr().out
    plan = finished_run(tmp_path, "first")
    (plan.directory / "recipe.json").write_text(plan.recipe.model_dump_json())
    assert cli.main(["show", f"runs_dir={tmp_path}"]) == 0
    assert "first" in capsys.readouterr().out and (tmp_path / "index.html").is_file()
