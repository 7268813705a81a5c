"""How far a command is, from a file that grows, is cut and grows again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.plan.stage import Progress
from orchestrator.run.progress import Follower, ProgressRows, clock, lacking, pace


def write(path: Path, *steps: int, mode: str = "a") -> None:
    with path.open(mode) as file:
        for step in steps:
            file.write(json.dumps({"step": step, "data": {"loss": 0.5}}) + "\n")


@pytest.fixture
def spec(tmp_path: Path) -> Progress:
    return Progress(str(tmp_path / "rows.jsonl"), "step", 40, "data.loss")


def test_pace_and_time_left_come_from_the_last_two_minutes(spec: Progress) -> None:
    path, follower = Path(spec.path), Follower(spec)
    assert not follower.look(0.0) and follower.position is None
    write(path, 1)
    assert follower.look(10.0) and str(follower.position) == "1 of 40, loss 0.500"
    write(path, 2, 3)
    assert follower.look(12.0) and follower.position is not None
    assert (follower.position.rate, follower.position.left) == (1.0, 37.0)
    assert str(follower.position) == "3 of 40, loss 0.500, 1/s, 37.0 s left"
    write(path, 4)
    follower.look(200.0)
    write(path, 5)
    follower.look(210.0)
    assert follower.position.rate == pytest.approx(
        2 / 198
    )  # two steps, the older out of the window
    assert not follower.look(220.0)


def test_rows_of_an_earlier_attempt_are_not_progress_and_a_step_back_starts_anew(
    spec: Progress,
) -> None:
    path = Path(spec.path)
    write(path, 1, 2, 3)
    follower = Follower(spec)
    assert not follower.look(0.0)
    write(path, 1, 2, mode="w")  # resumed from a checkpoint: the history was taken back
    follower.look(1.0)
    write(path, 3)
    follower.look(2.0)
    assert follower.position is not None and follower.position.rate == 1.0


def test_a_half_written_row_waits(spec: Progress) -> None:
    rows = ProgressRows(spec)
    Path(spec.path).write_text('{"step": 1, "da')
    assert rows.latest() is None
    with Path(spec.path).open("a") as file:
        file.write('ta": {"loss": 2.0}}\n')
    assert rows.latest() == (1.0, 40, "loss 2.000")


def test_a_number_is_called_by_its_label(spec: Progress) -> None:
    rows = ProgressRows(replace(spec, label="reward"))
    Path(spec.path).write_text('{"step": 1, "data": {"loss": 2.0}}\n')
    assert rows.latest() == (1.0, 40, "reward 2.000")


@pytest.mark.parametrize(
    ("rate", "said"),
    [(2.66, "2.7/s"), (1.0, "1/s"), (123.4, "123/s"), (0.5, "2.0 s/step"), (1 / 90, "90.0 s/step")],
)
def test_a_pace_is_said_so_that_it_is_read_at_once(rate: float, said: str) -> None:
    assert pace(rate) == said


def test_hours_are_hours() -> None:
    assert [clock(s) for s in (7.25, 75, 3600 * 30 + 125)] == ["7.2 s", "1 min 15 s", "30 h 02 min"]


def test_a_row_that_is_written_again_longer_or_shorter_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = ProgressRows(Progress(str(path), step="step", total=9))
    first = '{"step": 1}\n'
    for last, expected in (
        ('{"step": 2, "data": {}}', 2),
        ('{"step": 2, "data": {"more": 1, "and": 2}}', 2),
        ('{"step": 3}', 3),
    ):
        path.write_text(first + last + "\n")
        row = rows.latest()
        assert row is not None and row[0] == expected
    path.write_text(first + '{"step": 4}\n"and": 2}}\n')  # not cut off yet
    assert rows.latest() is None
    path.write_text(first + '{"step": 4}\n')
    assert rows.latest() == (4.0, 9, "")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(8, 8)], None),
        ([(3, 8), (4, 8)], "4 of the 8 updates planned"),
        ([(4, None)], "4 of the unknown number of updates planned"),
        ([], "0 of the unknown number of updates planned"),
    ],
)
def test_updates_that_were_planned_and_not_made_are_told(
    rows: list[tuple[int, int | None]], told: str | None, tmp_path: Path
) -> None:
    spec = Progress(str(tmp_path / "rows.jsonl"), "step", "total", whole=True)
    text = "".join(json.dumps({"step": step, "total": total}) + "\n" for step, total in rows)
    Path(spec.path).write_text(text)
    assert lacking(spec) == told
    assert lacking(replace(spec, whole=False)) is None
