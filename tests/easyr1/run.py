"""`python run.py <config>`: what `easyr1_plugin.launch` does, with `cpu` in every process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cpu
import ray

from reward_plugins.easyr1_plugin import checkout, launch

if __name__ == "__main__":
    config = launch.LaunchConfig.model_validate_json(Path(sys.argv[1]).read_text())
    home = checkout.require()
    runtime = config.runtime_env(home)
    runtime["worker_process_setup_hook"] = "cpu.install"
    runtime["env_vars"]["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
    cpu.install()
    ray.init(address="local", runtime_env=runtime, **config.local)
    launch.run_easyr1(launch.with_system(config.easyr1, config.system, home))
