"""The driver's configuration, and the environment it gives to verl's processes."""

import shlex
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from reward_plugins.verl_plugin.train import FORK_SERVER, TrainConfig


@pytest.mark.parametrize("fork", [True, False])
def test_workers_run_under_this_interpreter_with_our_plugins(fork: bool) -> None:
    config = TrainConfig(overrides={"a": 1}, env={"VERL_PLATFORM": "cpu"}, fork=fork)
    runtime = config.runtime_env()
    command = shlex.split(runtime["py_executable"])
    assert command[0] == sys.executable and (str(FORK_SERVER) in command) is fork
    assert runtime["env_vars"]["VERL_USE_EXTERNAL_MODULES"] == "reward_plugins.verl_plugin.register"
    assert runtime["env_vars"]["VERL_PLATFORM"] == "cpu"
    root = Path(runtime["env_vars"]["PYTHONPATH"])
    assert (root / "reward_plugins" / "verl_plugin" / "register.py").is_file()


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="overides"):
        TrainConfig.model_validate({"overides": []})
