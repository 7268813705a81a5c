"""`python probe.py <ray.init arguments>`: what a fresh Ray actor of a launch finds in EasyR1."""

from __future__ import annotations

import json
import sys

import ray

from reward_plugins.easyr1_plugin import checkout, launch


@ray.remote
class Probe:
    """An actor like EasyR1's `Runner`, where the trainer runs."""

    def loaded(self) -> list[str]:
        """Heavy modules there before anything was asked of it."""
        return sorted({"torch", "verl"} & set(sys.modules))

    def advantages(self) -> list[float]:
        """EasyR1's `compute_advantage` of one group with rewards 1 and 0."""
        import numpy as np
        import torch
        from verl.protocol import DataProto
        from verl.trainer import ray_trainer

        assert "ema_grpo" in list(ray_trainer.AdvantageEstimator)
        rewards = torch.tensor([[1.0], [0.0]])
        tensors = {"token_level_rewards": rewards, "response_mask": torch.ones(2, 1)}
        names = {key: np.array(["x", "x"], dtype=object) for key in ("uid", "problem_type")}
        data = DataProto.from_single_dict(tensors | names)
        done = ray_trainer.compute_advantage(data, "ema_grpo")
        return done.batch["advantages"].flatten().tolist()


if __name__ == "__main__":
    config = launch.LaunchConfig(easyr1={}, ema={"min_std": 10.0}, local=json.loads(sys.argv[1]))
    ray.init(address="local", runtime_env=config.runtime_env(checkout.require()), **config.local)
    probe = Probe.remote()
    found = [ray.get(probe.loaded.remote()), ray.get(probe.advantages.remote())]
    sys.stdout.write(f"PROBE {json.dumps(found)}\n")
