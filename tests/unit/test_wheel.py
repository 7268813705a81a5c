"""The wheel: whole, and usable where nothing else is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from orchestrator.envs import uv_path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("orchestrator", "data_builders", "reward_plugins")
BARE = """
import sys
import data_builders, orchestrator, reward_plugins
trace = "<observation>o</observation><think>t</think><answer>A</answer>"
assert reward_plugins.compute_score("binary", trace, "A", format_weight=0.1)["score"] == 1.0
assert all("site-packages" in m.__file__ for m in (data_builders, orchestrator, reward_plugins))
assert not {"torch", "ray", "numpy", "pydantic"} & set(sys.modules)
try:
    reward_plugins.EmaNormalizer
except ModuleNotFoundError as error:
    print(error)
"""
WITH_DEPENDENCIES = """
import orchestrator
from data_builders import FrameSpec, Sample, materialise
from orchestrator import RecipeError, load_recipe
print(orchestrator.__file__)
try:
    load_recipe("tiny")
except RecipeError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools would leave its own files in the tree, and read them again."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    command = [uv_path(), "build", "--quiet", "--wheel", "--no-build-isolation"]
    python = ["--python", sys.executable, "--out-dir", str(out), str(tree)]
    subprocess.run([*command, *python], check=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and nothing else."""
    home = tmp_path_factory.mktemp("bare") / "venv"
    base = str(Path(sys.executable).resolve())
    subprocess.run([uv_path(), "venv", "--quiet", "--python", base, str(home)], check=True)
    install = ["pip", "install", "--quiet", "--no-deps", "--python", str(home / "bin" / "python")]
    subprocess.run([uv_path(), *install, str(wheel)], check=True)
    return home


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.check_output(["git", "ls-files", *PACKAGES], cwd=ROOT, text=True)
    assert {name for name in listed.splitlines() if (ROOT / name).is_file()} <= packed


def test_it_imports_bare_without_torch(bare: Path, tmp_path: Path) -> None:
    python = str(bare / "bin" / "python")
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    said = subprocess.check_output([python, "-c", BARE], cwd=tmp_path, env=environ, text=True)
    assert said.strip() == "No module named 'torch'"


def test_without_a_checkout_it_says_where_the_recipes_are(bare: Path, tmp_path: Path) -> None:
    """With the dependencies of this environment, and the packages of the wheel."""
    (site,) = (bare / "lib").glob("python*/site-packages")
    environ = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", WITH_DEPENDENCIES]
    said = subprocess.check_output(command, cwd=tmp_path, env=environ, text=True)
    assert said.splitlines()[0].startswith(str(site))
    assert "run in a checkout of the project" in said
