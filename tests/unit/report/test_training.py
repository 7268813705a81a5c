"""What a report tells of a stage that trains."""

from __future__ import annotations

from orchestrator.report.sources import Training


def test_failed_responses_are_those_of_all_steps() -> None:
    rows = [{"step": 1, "training/failed_responses": 2.0}, {"step": 2}]
    rows.append({"step": 3, "training/failed_responses": 1.0})
    assert Training("rl", rows, {}).failed_responses == 3
    assert Training("sft", [{"step": 1, "loss": 0.5}], {}).failed_responses == 0
