"""Environments are built where there is none, or one of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import envs
from orchestrator.errors import EnvironmentBuildError


def test_an_environment_of_the_users_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", envs.uv_path())
    monkeypatch.setattr(envs, "ROOT", tmp_path)
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "mine.txt").touch()
    mine = tmp_path / ".envs" / "mine"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", mine], check=True)
    with pytest.raises(EnvironmentBuildError, match="was not built here: move it away"):
        envs.build("mine")
    assert (mine / "bin" / "python").exists()
    mine.rename(tmp_path / "elsewhere")
    for _ in range(2):  # one of ours that is not ready is built anew
        envs.build("mine")
        (mine / envs.STAMP).unlink()
    assert (mine / "bin" / "python").exists()
