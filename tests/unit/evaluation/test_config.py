"""The plan and the stages agree on what their configs hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.evaluation.config import EvalConfig
from orchestrator.plan import make_plan
from orchestrator.recipe import load_recipe
from orchestrator.report.__main__ import ReportConfig


@pytest.mark.parametrize("name", ["tiny", "camreasoner_7b"])
def test_the_planned_configs_are_the_ones_the_stages_read(name: str, tmp_path: Path) -> None:
    plan = make_plan(load_recipe(name), tmp_path)
    evaluation, report = plan.stage("eval"), plan.stage("report")
    [config] = [t for path, t in evaluation.files.items() if path.endswith("eval.json")]
    parsed = EvalConfig.model_validate_json(config)
    assert parsed.out == evaluation.directory
    assert list(parsed.checkpoints) == ["base", "sft", "rl"]
    [config] = [t for path, t in report.files.items() if path.endswith("report.json")]
    assert ReportConfig.model_validate_json(config).stages["eval"] == evaluation.directory
