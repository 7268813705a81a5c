"""One table of all checkpoints and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.evaluation.config import EvaluationError
from orchestrator.evaluation.interop.results import Measured, read_results
from orchestrator.report.overview import Cell, overview

SHOWN = {"n": 648, "accuracy": 0.5, "interval": (0.45, 0.55)}
TITLES = {"held_out": "held-out questions", "shotbench": "ShotBench"}


def scores(**external: Any) -> dict[str, Any]:
    block = {"checkpoints": {name: {"shown": {"all": SHOWN}} for name in ("base", "rl")}}
    imported = {
        "checkpoints": {"gpt": {"shown": {"all": SHOWN}}, "rl": {"shown": {"all": {"n": 0}}}}
    }
    return {"benchmarks": {"held_out": block, "shotbench": imported}, "external": external}


def test_every_checkpoint_has_a_row_and_every_benchmark_a_column() -> None:
    cell = Cell("50.0", "45.0 to 55.0", "648")
    found = overview(scores(), TITLES)
    assert found is not None and found.columns == ["held-out questions", "ShotBench"]
    assert found.rows == [("base", [cell, None]), ("rl", [cell, None]), ("gpt", [None, cell])]


def test_benchmarks_of_others_stand_beside_ours() -> None:
    measured = [
        {"metric": "vsibench_score", "value": 0.3, "stderr": 0.1, "n": 5130},
        {"metric": "count", "value": 0.9, "stderr": None, "n": None},
    ]
    found = overview(scores(rl={"vsibench": measured}), TITLES)
    assert found is not None and found.columns[-1] == "vsibench: vsibench_score"
    cells = {name: row[-1] for name, row in found.rows}
    assert cells == {"base": None, "rl": Cell("0.3", "0.104 to 0.496", "5,130"), "gpt": None}


def test_a_single_benchmark_needs_no_overview() -> None:
    alone = scores()
    del alone["benchmarks"]["shotbench"]
    assert overview(alone, TITLES) is None and overview(None, TITLES) is None


def results(folder: Path, text: str) -> Path:
    path = folder / "rl" / "abc__checkpoint" / "20261121_120000_results.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return folder


def test_lmms_evals_results_are_read(tmp_path: Path) -> None:
    metrics = {
        "alias": "t",
        "accuracy,none": 0.75,
        "accuracy_stderr,none": 0.25,
        "accuracy_stderr_clustered,none": "N/A",
        "exact,strict": 1,
        "exact_stderr,strict": "N/A",
    }
    asked = {"t": {"original": 12, "effective": 4}}
    found = {"results": {"t": metrics}, "n-samples": asked}
    assert read_results(results(tmp_path, json.dumps(found)), "rl") == {
        "t": [Measured("accuracy", 0.75, 0.25, 4), Measured("exact (strict)", 1, None, 4)]
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": {"t": 1}}', '{"results": []}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(EvaluationError, match=r"_results\.json holds no results of lmms-eval"):
        read_results(results(tmp_path, text), "rl")


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="see the log of stage external"):
        read_results(tmp_path, "rl")
