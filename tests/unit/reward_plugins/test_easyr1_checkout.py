"""EasyR1 and verl share a name: the right one is found, or the error says which is there."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from reward_plugins.easyr1_plugin.checkout import CheckoutError, locate

REGISTRY = "def register_adv_estimator(name): ...\n"


def fake_package(root: Path, *files: str, registry: str = REGISTRY) -> Path:
    """A `verl` with empty modules under `root`; returns `root`."""
    for name in ("__init__.py", "trainer/__init__.py", *files):
        file = root / "verl" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (root / "verl/trainer/core_algos.py").write_text(registry)
    return root


def import_verl(home: Path, *first: Path) -> subprocess.CompletedProcess[str]:
    """Call `require` and import verl in a fresh process, with `first` first on its path."""
    code = (
        "from reward_plugins.easyr1_plugin.checkout import require\n"
        "print(require()); import verl; print(verl.__file__)"
    )
    path = os.pathsep.join(map(str, [*first, Path.cwd()]))
    env = {**os.environ, "EASYR1_HOME": str(home), "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


def test_a_checkout_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_package(tmp_path, "trainer/data_loader.py")
    monkeypatch.setenv("EASYR1_HOME", str(home))
    assert locate() == home.resolve()


@pytest.mark.parametrize(
    ("files", "registry", "fault"),
    [
        (["trainer/main_ppo.py", "trainer/data_loader.py"], REGISTRY, "stock verl, not EasyR1"),
        ([], REGISTRY, "holds no EasyR1"),
        (["trainer/data_loader.py"], "", r"v0\.3\.2 or later"),
    ],
)
def test_the_error_says_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], registry: str, fault: str
) -> None:
    monkeypatch.setenv("EASYR1_HOME", str(fake_package(tmp_path, *files, registry=registry)))
    with pytest.raises(CheckoutError, match=fault) as caught:
        locate()
    assert str(tmp_path) in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_unset_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EASYR1_HOME", raising=False)
    with pytest.raises(ImportError, match="EASYR1_HOME is not set"):
        locate()


def test_the_checkout_is_put_first(tmp_path: Path) -> None:
    home = fake_package(tmp_path / "easyr1", "trainer/data_loader.py")
    other = fake_package(tmp_path / "verl", "trainer/main_ppo.py")
    run = import_verl(home, other)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [str(home), str(home / "verl/__init__.py")]


def test_an_earlier_verl_is_named(tmp_path: Path) -> None:
    home = fake_package(tmp_path / "easyr1", "trainer/data_loader.py")
    other = fake_package(tmp_path / "verl", "trainer/main_ppo.py")
    run = import_verl(home, other, home)  # on the path already, but behind the other
    assert run.returncode != 0
    assert f"finds {other / 'verl'} and not {home / 'verl'}" in run.stderr
