"""Name the CPU rollout `hf_cpu` in verl's two rollout registries.

The server side has a public registry; the side that lives in the training worker has only a
private dictionary (verl/workers/rollout/base.py:89), used here and nowhere else.
"""

from verl.workers.rollout.base import _ROLLOUT_REGISTRY
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry

NAME = "hf_cpu"


def _load_replica() -> type[RolloutReplica]:
    from reward_plugins.verl_plugin.cpu.rollout import CPUReplica

    return CPUReplica


RolloutReplicaRegistry.register(NAME, _load_replica)
_ROLLOUT_REGISTRY[(NAME, "async")] = "reward_plugins.verl_plugin.cpu.rollout.CPUServerAdapter"
