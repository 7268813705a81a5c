"""The wheel: whole, and usable where nothing else is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from orchestrator.envs import uv_path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("orchestrator", "data_builders", "reward_plugins")
DATA = ("recipes", "envs")
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
from orchestrator import load_recipe
print(orchestrator.__file__)
print(load_recipe("tiny").name)
"""


@pytest.fixture(autouse=True)
def _without_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools would leave its own files in the tree, and read them again."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored, symlinks=True)
    for folder in DATA:
        shutil.copytree(ROOT / folder, tree / folder)
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
    data = subprocess.check_output(["git", "ls-files", *DATA], cwd=ROOT, text=True)
    assert {f"orchestrator/share/{name}" for name in data.splitlines()} <= packed


def test_it_imports_bare_without_torch(bare: Path, tmp_path: Path) -> None:
    python = str(bare / "bin" / "python")
    said = subprocess.check_output([python, "-c", BARE], cwd=tmp_path, text=True)
    assert said.strip() == "No module named 'torch'"


@pytest.fixture(scope="module")
def installed(bare: Path) -> Path:
    """The command of the wheel, in an environment that has the dependencies of this one too."""
    (site,) = (bare / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return bare / "bin" / "camreasoner"


def test_without_a_checkout_the_recipes_are_there(installed: Path, tmp_path: Path) -> None:
    python = str(installed.with_name("python"))
    said = subprocess.check_output([python, "-c", WITH_DEPENDENCIES], cwd=tmp_path, text=True)
    path, name = said.splitlines()
    assert path.startswith(str(installed.parents[1])) and name == "tiny"


def test_its_command_works_outside_a_checkout(installed: Path, tmp_path: Path) -> None:
    def said(*words: str) -> str:
        return subprocess.check_output([installed, *words], cwd=tmp_path, text=True)

    shown = said("plan", "recipe=tiny")
    assert str(installed.with_name("python")) in shown and ".envs/sft/bin/python" in shown
    assert "report  not run yet" in said("status", "recipe=tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert (tmp_path / "runs" / "tiny" / "plan" / "rl" / "commands.sh").is_file()


def test_stages_import_our_packages_and_nothing_else(installed: Path, tmp_path: Path) -> None:
    """Those of the installation would hide those of a stage's own environment."""
    code = "from orchestrator.places import import_path; print(import_path())"
    for _ in range(2):
        command = [installed.with_name("python"), "-c", code]
        folder = Path(subprocess.check_output(command, cwd=tmp_path, text=True).strip())
    assert folder == tmp_path / ".envs" / "code"
    assert {path.name for path in folder.iterdir()} == set(PACKAGES)
    assert (folder / "reward_plugins" / "reward.py").is_file()
