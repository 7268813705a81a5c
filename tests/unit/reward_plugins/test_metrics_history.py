"""The history of a run's metrics: one row a step, whatever was killed and resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.metrics_history import MetricsHistory


def rows(path: Path) -> dict[int, dict[str, Any]]:
    """Metrics by step; no step may be there twice."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({row["step"] for row in found}) == len(found)
    return {row["step"]: row["data"] for row in found}


@given(
    attempts=st.lists(
        st.tuples(st.integers(0, 8), st.integers(1, 8), st.integers(0, 40)), max_size=5
    )
)
def test_every_step_is_there_once_from_the_last_attempt(
    tmp_path_factory: Any, attempts: list[tuple[int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "metrics.jsonl"
    reached, expected = 0, dict[int, int]()
    for number, (back, steps, torn) in enumerate(attempts):
        start = max(0, reached - back)  # the checkpoint it resumes from
        history, reached = MetricsHistory(path), start + steps
        for step in range(start + 1, reached + 1):
            history.log({"loss": number}, step)
        expected = {s: n for s, n in expected.items() if s <= start}
        expected |= dict.fromkeys(range(start + 1, reached + 1), number)
        whole = path.read_bytes()
        if torn:  # killed while it wrote a line
            path.write_bytes(whole + b'{"step": 99, "data": {"loss": 1.2345678}'[:torn])
    MetricsHistory(path).log({"loss": -1}, reached + 1)
    assert {s: row["loss"] for s, row in rows(path).items()} == {**expected, reached + 1: -1}
    assert list(rows(path)) == list(range(1, reached + 2))


def test_several_rows_of_a_step_become_one(tmp_path: Path) -> None:
    history = MetricsHistory(tmp_path / "sub" / "metrics.jsonl")
    history.log({"val/accuracy": 0.5, "loss": 2.0}, 1)
    history.log({"loss": np.float32(0.25), "n": np.int64(3), "what": Path("x")}, 1)
    assert rows(history.path) == {1: {"val/accuracy": 0.5, "loss": 0.25, "n": 3, "what": "x"}}


def test_a_crash_while_rows_are_taken_back_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(one: Path, other: Path) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "metrics.jsonl"
    history = MetricsHistory(path)
    for step in (1, 2, 3):
        history.log({"loss": step}, step)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        MetricsHistory(path).log({"loss": 7}, 2)
    assert path.read_bytes() == before
    monkeypatch.undo()
    MetricsHistory(path).log({"loss": 7}, 2)
    assert rows(path) == {1: {"loss": 1}, 2: {"loss": 7}}
    assert [found.name for found in tmp_path.iterdir()] == ["metrics.jsonl"]
