"""Everything verl looks up by name is ours, and what ours overrides is still there."""

import inspect

import pytest
import verl
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker, _agent_loop_registry
from verl.plugin.platform import get_platform
from verl.trainer.ppo.core_algos import get_adv_estimator_fn
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead
from verl.workers.rollout.base import get_rollout_class
from verl.workers.rollout.replica import get_rollout_replica_class

from reward_plugins.verl_plugin import agent_loop, estimator, filtering, trainer
from reward_plugins.verl_plugin.cpu import engine, rollout


def test_verl_finds_what_we_registered() -> None:
    assert verl.__version__ == "0.9.1"
    assert get_platform().device_name == "cpu"
    assert get_adv_estimator_fn("ema_grpo") is estimator.ema_grpo
    assert get_trainer_cls("sync_ema") is trainer.EmaTrainer
    assert EngineRegistry.get_engine_cls("language_model", "fsdp2") is engine.CPUEngineWithLMHead
    assert get_rollout_replica_class("hf_cpu") is rollout.CPUReplica
    assert get_rollout_class("hf_cpu") is rollout.CPUServerAdapter
    target = f"{agent_loop.__name__}.VideoAgentLoop"
    assert _agent_loop_registry["video_agent"]["_target_"] == target


@pytest.mark.parametrize(
    ("ours", "base", "names"),
    [
        (
            trainer.EmaTrainer,
            PPOTrainer,
            "_fetch_one_gen_batch _compute_advantage _save_checkpoint _load_checkpoint",
        ),
        (
            filtering.GroupSampler,
            ReplayBuffer,
            "sample _terminal_eviction_reasons _sampleable_terminal_keys _dapo_filtered_keys "
            "_select_prompt_uids",
        ),
        (engine.CPUEngineWithLMHead, FSDPEngineWithLMHead, "_build_fsdp_module"),
    ],
)
def test_overridden_methods_keep_their_parameters(ours: type, base: type, names: str) -> None:
    for name in names.split():
        mine, theirs = (inspect.signature(getattr(cls, name)) for cls in (ours, base))
        assert list(mine.parameters) == list(theirs.parameters), name


def test_the_worker_still_asks_its_processor_for_rope_arguments() -> None:
    assert "get_rope_index_kwargs" in inspect.getsource(AgentLoopWorker._compute_position_ids)
