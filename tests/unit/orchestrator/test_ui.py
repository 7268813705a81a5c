"""What is seen while stages run: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import psutil
import pytest
import rich.console

from orchestrator.console import Console
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import Command, Progress, Stage
from orchestrator.recipe import load_recipe
from orchestrator.run import live, store
from orchestrator.run.gpus import gpu_memory
from orchestrator.run.live import Machine, View
from tests.unit.orchestrator.finished import with_values


def stage_in(directory: Path, name: str) -> Stage:
    """A stage of the tiny recipe that reports to `rows.jsonl`."""
    spec = Progress(str(directory / name / "rows.jsonl"), "step", 40, "loss")
    made = make_plan(load_recipe("tiny"), directory).stage("sft")
    command = Command("orchestrator", ("-c", "pass"), progress=spec)
    return with_values(made, name=name, directory=directory / name, commands=(command,), files={})


def begin(stage: Stage) -> None:
    (stage.directory / "logs").mkdir(parents=True)
    (stage.directory / "logs" / "attempt_1.log").touch()


def step(stage: Stage, number: int) -> None:
    with (stage.directory / "rows.jsonl").open("a") as file:
        file.write(json.dumps({"step": number, "loss": 1 / number}) + "\n")


def drawn(view: View, now: float) -> list[str]:
    console = rich.console.Console(width=110, file=io.StringIO(), record=True)
    console.print(view.draw(now))
    return [re.sub(r"\s+", " ", line).strip() for line in console.export_text().splitlines()]


def console_to(file: io.StringIO, terminal: bool) -> Console:
    console = Console()
    console.out = rich.console.Console(
        file=file, force_terminal=terminal, width=110, highlight=False, soft_wrap=True
    )
    return console


def test_each_stage_has_a_row_with_step_metric_pace_and_time_left(tmp_path: Path) -> None:
    data, sft, rl = (stage_in(tmp_path, name) for name in ("data", "sft", "rl"))
    view = View({stage.name: [stage] for stage in (data, sft, rl)})
    data.directory.mkdir()
    store.finish(data, {"seconds": 75.0})
    begin(sft)
    assert drawn(view, 100.0)[1:4] == ["✔ data 1 min 15 s", "▶ sft 0.0 s", "· rl"]
    step(sft, 10)
    view.draw(101.0)
    step(sft, 20)
    _, _, row, _, machine = drawn(view, 106.0)[:5]
    assert re.sub("[━╸╺ ]+", " ", row) == "▶ sft 20/40 loss 0.050 2/s 10.0 s 6.0 s"
    assert machine.startswith("this machine: ") and "GiB memory" in machine


def test_an_arm_is_one_row_that_goes_from_stage_to_stage(tmp_path: Path) -> None:
    arms = {}
    for label in ("0.1-seed0", "0.3-seed0"):
        arms[label] = [stage_in(tmp_path / label, name) for name in ("rl", "eval")]
    view = View(arms)
    for label in arms:
        begin(arms[label][0])
    step(arms["0.3-seed0"][0], 4)
    view.draw(1.0)
    step(arms["0.3-seed0"][0], 8)
    first, second = drawn(view, 5.0)[1:3]
    assert first.startswith("▶ 0.1-seed0 rl") and "rl loss 0.125" in second
    store.finish(arms["0.1-seed0"][0], {"seconds": 1.0})
    assert drawn(view, 6.0)[1] == "· 0.1-seed0 eval"
    begin(arms["0.1-seed0"][1])
    assert drawn(view, 7.0)[1].startswith("▶ 0.1-seed0 eval")
    store.finish(arms["0.1-seed0"][1], {"seconds": 1.0})
    assert drawn(view, 8.0)[1] == "✔ 0.1-seed0"


def test_an_attempt_from_before_is_not_taken_for_a_running_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sft = stage_in(tmp_path, "sft")
    begin(sft)
    later = live.time.time() + 60
    monkeypatch.setattr(live.time, "time", lambda: later)
    assert drawn(View({"sft": [sft]}), 0.0)[1] == "· sft"


def test_a_terminal_shows_the_view_and_no_lines(tmp_path: Path) -> None:
    sft, out = stage_in(tmp_path, "sft"), io.StringIO()
    console = console_to(out, terminal=True)
    begin(sft)
    with console.watching({"sft": [sft]}):
        tell = console.telling(sft, sft.commands[0])
        step(sft, 10)
        tell()
    text = out.getvalue()
    assert "▶ sft" in text and "GiB memory" in text
    assert "10 of 40" not in text


def test_no_terminal_gets_plain_lines_and_no_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sft, out, now = stage_in(tmp_path, "sft"), io.StringIO(), [100.0]
    monkeypatch.setattr("orchestrator.console.time.monotonic", lambda: now[0])
    console = console_to(out, terminal=False)
    begin(sft)
    with console.watching({"sft": [sft]}):
        tell = console.telling(sft, sft.commands[0])
        for number in (10, 12, 14):
            step(sft, number)
            tell()
            now[0] += 6.0
        step(sft, 20)
        tell()
    assert out.getvalue().splitlines() == [
        "sft: 10 of 40, loss 0.100",
        "sft: 14 of 40, loss 0.071, 3.0 s/step, 1 min 18 s left",
    ]


def test_gpu_memory_is_what_the_driver_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '71680 MiB, 143771 MiB'\necho '1024 MiB, 143771 MiB'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_memory() == "; GPU 70 1 of 140 GiB"
    told = Machine().text(0.0)
    total = psutil.virtual_memory().total / 2**30
    assert re.fullmatch(rf"this machine: [\d.]+ of {total:.0f} GiB memory; GPU 70 1 .*", told)
    smi.write_text("#!/bin/sh\nexit 9\n")
    assert gpu_memory() == ""
    smi.unlink()
    assert "GPU" not in Machine().text(0.0)
