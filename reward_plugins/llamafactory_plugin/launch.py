"""LLaMA-Factory's command line, every process of which does as `positions` and `vision` say.

A private hook: for torchrun, LLaMA-Factory names its own file as what each worker runs (0.9.5,
launcher.py:124 and 147, `__file__`); here that is `worker.py` beside this one, which does the same.
"""

import sys
from pathlib import Path

import yaml
from llamafactory import launcher

from reward_plugins import positions, sizes, vision
from reward_plugins.llamafactory_plugin import cpu, whole

WORKER = Path(__file__).with_name("worker.py")

if __name__ == "__main__":
    config = yaml.safe_load(Path(sys.argv[2]).read_text())
    sizes.check(Path(config["dataset_dir"]) / "frames.json", config["model_name_or_path"])
    cpu.install()
    positions.install()
    vision.install()
    whole.install()
    launcher.__file__ = str(WORKER)
    launcher.launch()
