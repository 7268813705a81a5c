"""Metrics of a training stage: whatever was killed and resumed, each step once."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.run import history, sft_outputs


def log(checkpoints: Path, *steps: int, loss: float) -> None:
    """What LLaMA-Factory appends while it trains."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    with (checkpoints / "trainer_log.jsonl").open("a") as file:
        for step in steps:
            row = {"current_steps": step, "total_steps": 60, "loss": loss, "percentage": 1.0}
            file.write(json.dumps(row) + "\n")


def save(checkpoints: Path, step: int, loss: float, text: str | None = None) -> None:
    """A checkpoint with the trainer's history up to it."""
    directory = checkpoints / f"checkpoint-{step}"
    directory.mkdir(parents=True)
    rows = [
        {"step": s, "loss": loss, "grad_norm": 2.0, "learning_rate": 1e-3, "epoch": s / 20}
        for s in range(10, step + 1, 10)
    ]
    state = {"global_step": step, "epoch": step / 20, "log_history": [*rows, {"step": step}]}
    (directory / "trainer_state.json").write_text(json.dumps(state) if text is None else text)


def test_a_resumed_sft_has_every_step_once_from_the_last_attempt(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    log(checkpoints, 10, 20, 30, 40, loss=1.0)
    save(checkpoints, 20, loss=1.0)
    log(checkpoints, 30, loss=0.5)  # resumed from 20, killed, and resumed again
    log(checkpoints, 30, 40, 50, loss=0.25)
    save(checkpoints, 40, loss=0.25, text='{"global')  # and this one is being written
    with (checkpoints / "trainer_log.jsonl").open("a") as file:
        file.write('{"current_steps": 60, "lo')
    rows = history.read(tmp_path)
    assert [(row["step"], row["loss"]) for row in rows] == [
        (10, 1.0),
        (20, 1.0),
        (30, 0.25),
        (40, 0.25),
        (50, 0.25),
    ]
    assert [row["step"] for row in rows if "grad_norm" in row] == [10, 20]


def test_a_finished_sft_leaves_its_metrics_in_the_form_of_rl(tmp_path: Path) -> None:
    log(tmp_path / "checkpoints", 10, 20, 10, 20, 30, 40, loss=1.0)
    save(tmp_path / "checkpoints", 40, loss=1.0)
    live = history.read(tmp_path)
    sft_outputs.main(tmp_path)
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[3])
    data = {"lr": 1e-3, "epoch": 2.0, "loss": 1.0, "grad_norm": 2.0}
    assert row == {"step": 40, "data": data}
    assert history.read(tmp_path) == live and len(live) == 4


def test_a_stage_that_has_not_started_has_no_rows(tmp_path: Path) -> None:
    assert history.read(tmp_path / "nothing") == []


@given(st.lists(st.integers(1, 6)))
def test_rewound_rows_rise_and_are_the_last_of_their_step(steps: list[int]) -> None:
    rows = [{"step": step, "nth": nth} for nth, step in enumerate(steps)]
    kept = history.rewound(rows)
    assert [row["step"] for row in kept] == sorted({row["step"] for row in kept})
    assert kept[-1:] == rows[-1:]
    for row in kept:
        assert all(later["step"] > row["step"] for later in rows[row["nth"] + 1 :])
