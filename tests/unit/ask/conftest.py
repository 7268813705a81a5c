"""What the tests of asking share: a web server, and run directories with checkpoints' names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `web`, in any import mode

from web import Web

from orchestrator.recipe import load_recipe


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as running:
        yield running


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """`runs/tiny` with a base and an SFT checkpoint that hold no real weights."""
    directory = tmp_path / "runs" / "tiny"
    for place in ("model/checkpoint", "sft/step-600", "sft/step-200"):
        (directory / place).mkdir(parents=True)
        (directory / place / "config.json").write_text("{}")
        (directory / place / "model.safetensors").write_bytes(b"")
    (directory / "recipe.json").write_text(load_recipe("tiny").model_dump_json())
    return directory
