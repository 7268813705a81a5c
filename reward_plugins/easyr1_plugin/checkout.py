"""Which `verl` is importable: EasyR1's package has the name of the framework it descends from."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from reward_plugins.errors import CamReasonerError

VARIABLE = "EASYR1_HOME"


class CheckoutError(CamReasonerError, ImportError):
    """There is no usable EasyR1 checkout, or another `verl` stands before it."""


def locate() -> Path:
    """The checkout that `EASYR1_HOME` names; nothing is imported.

    Raises `CheckoutError` where the variable is unset, or the directory holds no EasyR1, or
    another framework, or an EasyR1 before v0.3.2, which had no registry of estimators.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        raise CheckoutError(
            f"{VARIABLE} is not set: clone EasyR1 (v0.3.2 or main b44b311; it is not on the "
            f"package registry) and set it to the directory that holds EasyR1's `verl`"
        )
    home = Path(named).resolve()
    _check(home / "verl", f"{VARIABLE}={named}")
    algorithms = home / "verl/trainer/core_algos.py"
    if "def register_adv_estimator" not in algorithms.read_text(encoding="utf-8"):
        raise CheckoutError(
            f"{VARIABLE}={named}: this EasyR1 has no registry of advantage estimators; check out "
            f"v0.3.2 or later"
        )
    return home


def require() -> Path:
    """Make `import verl` mean the checkout's, and return the checkout.

    Raises `CheckoutError` as `locate` does, and where some other `verl` is imported already.
    """
    home = locate()
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
    spec = importlib.util.find_spec("verl")
    found = Path(spec.origin).resolve().parent if spec and spec.origin else None
    if found != home / "verl":
        raise CheckoutError(
            f"`import verl` finds {found} and not {home / 'verl'}: put {home} first on PYTHONPATH, "
            f"in an environment that has no verl installed (envs/easyr1.txt)"
        )
    return home


def _check(package: Path, where: str) -> None:
    if (package / "trainer/main_ppo.py").is_file():
        raise CheckoutError(f"{where} is stock verl, not EasyR1; name a checkout of EasyR1")
    if not (package / "trainer/data_loader.py").is_file():
        raise CheckoutError(
            f"{where} holds no EasyR1: there is no {package}/trainer/data_loader.py"
        )
