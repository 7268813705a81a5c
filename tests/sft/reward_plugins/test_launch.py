"""Each process that LLaMA-Factory starts numbers tokens by our rule."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("torchrun", ["0", "1"])
def test_every_process_enters_by_our_files(tmp_path: Path, torchrun: str) -> None:
    """Told to train by a config that isn't there, each one ends with a trace of how it began."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    module = "reward_plugins.llamafactory_plugin.launch"
    done = subprocess.run(
        [sys.executable, "-m", module, "train", str(tmp_path / "none.yaml")],
        env={**os.environ, "PATH": path, "FORCE_TORCHRUN": torchrun, "NPROC_PER_NODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "none.yaml" in done.stderr
    assert ("llamafactory_plugin/worker.py" in done.stderr) == (torchrun == "1")
