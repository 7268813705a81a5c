"""Each process that LLaMA-Factory starts numbers tokens by our rule."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("torchrun", ["0", "1"])
def test_every_process_enters_by_our_files(tmp_path: Path, torchrun: str) -> None:
    """Told to train by a config that can't be, each one ends with a trace of how it began."""
    config = {"dataset_dir": str(tmp_path), "model_name_or_path": "none", "odd_key": 1}
    (tmp_path / "train.yaml").write_text(json.dumps(config))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    module = "reward_plugins.llamafactory_plugin.launch"
    done = subprocess.run(
        [sys.executable, "-m", module, "train", str(tmp_path / "train.yaml")],
        env={**os.environ, "PATH": path, "FORCE_TORCHRUN": torchrun, "NPROC_PER_NODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "odd_key" in done.stderr
    assert ("llamafactory_plugin/worker.py" in done.stderr) == (torchrun == "1")
