"""What the evaluation's environment runs can be imported there: it holds no Hydra and no Ray."""

import importlib

import pytest


@pytest.mark.parametrize(
    "module", ["orchestrator.evaluation.__main__", "orchestrator.sampling.generate"]
)
def test_a_command_of_this_environment_can_be_imported(module: str) -> None:
    assert importlib.import_module(module)
