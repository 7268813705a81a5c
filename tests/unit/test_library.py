"""What people import: light, complete, typed, and as the examples use it."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["orchestrator", "data_builders", "reward_plugins"]
HEAVY = ["torch", "transformers", "ray", "verl", "av", "numpy", "pydantic", "hydra", "rich"]
NEEDS_TORCH = {"EmaNormalizer", "token_advantages"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_without_what_it_may_need_later(package: str) -> None:
    script = f"import sys, {package}; print([m for m in {HEAVY} if m in sys.modules])"
    said = subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True)
    assert said.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_there_typed_and_documented(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    typed = {alias.asname or alias.name for node in nodes for alias in node.names}
    assert set(module.__all__) <= typed  # type checkers see what `__getattr__` gives
    assert (ROOT / package / "py.typed").is_file()
    for name in set(module.__all__) - NEEDS_TORCH:
        value = getattr(module, name)
        assert isinstance(value, tuple) or value.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_a_stranger_runs_the_example() -> None:
    said = subprocess.run(
        [sys.executable, "examples/library.py"], cwd=ROOT, stderr=subprocess.PIPE, text=True,
        env={"PYTHONPATH": str(ROOT)}, check=True,
    ).stderr  # fmt: skip
    assert "(8, 56, 56, 3) frames at 2 a second" in said
    assert "'score': 1.0" in said and "'rl', 'eval', 'report'" in said
