"""Run verl's PPO trainer on a Ray cluster.

`python -m reward_plugins.verl_plugin.train <config.json>`

This process only imports Ray, reserves nothing and starts verl's own `main_ppo` inside the
cluster, under this interpreter and the given environment; so verl can join a cluster that another
environment started, as long as Python and Ray are of the same versions.
"""

import logging
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from pydantic import BaseModel, ConfigDict

from reward_plugins.logger_modes import logger_modes
from reward_plugins.verl_plugin.overrides import to_hydra

PLUGINS = "reward_plugins.verl_plugin.register"
FORK_SERVER = Path(__file__).parent / "cpu" / "forkserver.py"

logger = logging.getLogger(__name__)


class TrainConfig(BaseModel):
    """One verl run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overrides: Mapping[str, Any]
    """Values by key of verl's `ppo_trainer`; a key that it lacks starts with `+`."""
    address: str | None = None
    """The Ray cluster to join (none: `RAY_ADDRESS`, else a new local one)."""
    local: Mapping[str, Any] = {}
    """Arguments of `ray.init` for a new cluster, e.g. `num_gpus`: logical GPUs on a CPU."""
    env: Mapping[str, str] = {}
    """Environment variables of all of verl's processes."""
    fork: bool = False
    """Fork workers from one that has imported verl, instead of importing it in each (CPU only)."""

    def runtime_env(self) -> dict[str, Any]:
        """What every worker of the run needs to be one of verl's."""
        command = [sys.executable, *(["-P", "-S", str(FORK_SERVER)] if self.fork else [])]
        root = str(Path(__file__).parents[2])
        ours = {"PYTHONPATH": root, "VERL_USE_EXTERNAL_MODULES": PLUGINS}
        env = {**ours, **logger_modes(), **self.env}
        return {"py_executable": shlex.join(command), "env_vars": env}


def main(path: str) -> None:
    """Run the training that the JSON file at `path` describes; errors of verl propagate."""
    config = TrainConfig.model_validate_json(Path(path).read_text())
    address = config.address or os.environ.get("RAY_ADDRESS")
    where = {"address": address} if address else {"address": "local", **config.local}
    ray.init(**where, runtime_env=config.runtime_env())
    try:
        ray.get(_train.remote(to_hydra(config.overrides)))
    finally:
        ray.shutdown()


@ray.remote(num_cpus=0, max_retries=0)
def _train(overrides: list[str]) -> None:
    """What `verl.trainer.main_ppo.main` does, in a process of the cluster."""
    from hydra import compose, initialize_config_module
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env
    from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    from reward_plugins import weights
    from reward_plugins.trial import try_in_verl

    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", overrides)
    validate_config(config, need_reference_policy(config), need_critic(config))
    try_in_verl(get_custom_reward_fn(config), config.data.train_files)
    weights.check(config.actor_rollout_ref.model.path)
    # run_ppo sets this environment when it starts Ray, which here it need not.
    env_vars = {**get_ppo_ray_runtime_env(config)["env_vars"], "TRANSFER_QUEUE_ENABLE": "1"}
    run_ppo(config, TaskRunnerV1.options(runtime_env={"env_vars": env_vars}))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(sys.argv[1])
