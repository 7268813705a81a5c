"""The plan and the stages agree on what their configs hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from eval_fixtures import make_config, sample

from orchestrator.evaluation.config import EvalConfig, run_command
from orchestrator.evaluation.prepare import prepare
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe
from orchestrator.report.__main__ import ReportConfig


@pytest.mark.parametrize(
    ("name", "start"), [("tiny", "sft:step:600"), ("camreasoner_7b", "sft:epoch:2")]
)
def test_the_planned_configs_are_the_ones_the_stages_read(
    name: str, start: str, tmp_path: Path
) -> None:
    plan = make_plan(load_recipe(name), tmp_path)
    evaluation, report = plan.stage("eval"), plan.stage("report")
    [config] = [t for path, t in evaluation.files.items() if path.endswith("eval.json")]
    parsed = EvalConfig.model_validate_json(config)
    assert parsed.out == evaluation.directory
    assert tuple(parsed.checkpoints) == plan.recipe.checkpoints
    assert list(parsed.checkpoints) == ["base", start, "rl"]
    assert parsed.checkpoints[start] == plan.stage("sft").directory / start[4:].replace(":", "-")
    [config] = [t for path, t in report.files.items() if path.endswith("report.json")]
    assert ReportConfig.model_validate_json(config).stages["eval"] == evaluation.directory


def test_a_missing_clip_ends_the_preparation_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tmp_path, [sample(0)])
    path = tmp_path / "eval.json"
    path.write_text(config.model_dump_json())
    assert run_command(prepare, [str(path)]) == 1
    assert "1 of 1 clips are unreadable" in caplog.text and "0.mp4: is missing" in caplog.text
    assert "Traceback" not in caplog.text
