"""The recipes that people pay for, each in small through every component that it names."""

import json
from pathlib import Path

import pytest

from orchestrator.cli import main

NAMES = ("camreasoner_7b", "camreasoner_3b", "camreasoner_7b_as_released", "shotvl_3b")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_rehearsal_holds(name: str, tmp_path: Path) -> None:
    assert main(["rehearse", f"recipe={name}", f"runs_dir={tmp_path}"]) == 0
    found = json.loads((tmp_path / name / "rehearsal.json").read_text())
    assert len(found["invariants"]) >= 15 and all(row["right"] for row in found["invariants"])
