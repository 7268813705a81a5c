"""verl's own Hydra config, validation and dataclasses on what every recipe renders."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.errors import HydraException
from verl.utils.config import omega_conf_to_dataclass

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `snapshot_files`, in any import mode

from snapshot_files import place, stages

from orchestrator.doctor.parse_verl import compose, parse, validate
from reward_plugins.verl_plugin.overrides import to_hydra

ACTOR = "actor_rollout_ref.actor"


def overrides(recipe: str, directory: Path) -> list[str]:
    path = place(recipe, "rl-verl", directory) / "train.json"
    return to_hydra(json.loads(path.read_text())["overrides"])


@pytest.mark.parametrize(("recipe", "stage"), stages("train.json", "-verl"))
def test_every_recipe_is_taken(recipe: str, stage: str, tmp_path: Path) -> None:
    assert parse(str(place(recipe, stage, tmp_path) / "train.json")) == []


def test_the_papers_numbers_arrive(tmp_path: Path) -> None:
    config = compose(overrides("camreasoner_7b", tmp_path))
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert (rollout.n, config.data.train_batch_size, actor.ppo_mini_batch_size) == (8, 128, 32)
    assert (actor.use_kl_loss, actor.kl_loss_type, actor.optim.lr) == (True, "low_var_kl", 2e-6)
    assert config.algorithm.ema_beta == 0.99
    assert config.reward.custom_reward_function.reward_kwargs.format_weight == 0.1


def test_vllm_is_given_room_for_the_longest_response_and_no_more(tmp_path: Path) -> None:
    config = compose(overrides("camreasoner_7b", tmp_path))
    rollout = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    assert (rollout.max_model_len, rollout.max_num_batched_tokens) == (20480, 20480)
    pytest.importorskip("vllm")
    from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer

    server = object.__new__(vLLMHttpServer)
    model = SimpleNamespace(max_position_embeddings=128_000)
    model.get_text_config = lambda: model
    server.config, server.model_config = rollout, SimpleNamespace(hf_config=model)
    server._validate_configs()
    assert (server.config.max_model_len, server.config.max_num_batched_tokens) == (20480, 20480)


def test_the_log_probabilities_batch_as_the_update_does(tmp_path: Path) -> None:
    config = compose(overrides("camreasoner_7b", tmp_path)).actor_rollout_ref
    tokens = (
        config.rollout.log_prob_max_token_len_per_gpu,
        config.ref.log_prob_max_token_len_per_gpu,
    )
    assert {*tokens} == {config.actor.ppo_max_token_len_per_gpu} == {20480}
    assert config.rollout.log_prob_use_dynamic_bsz and config.ref.log_prob_use_dynamic_bsz


def test_no_epoch_ends_before_the_last_of_max_steps(tmp_path: Path) -> None:
    trainer = compose(overrides("tiny", tmp_path)).trainer
    assert trainer.total_epochs >= trainer.total_training_steps == 30


@pytest.mark.parametrize(
    "mistake",
    ["data.shufle=true", f"{ACTOR}.ppo_mini_bach_size=1", "trainer.total_epoch=1"],
)
def test_a_key_that_verl_lacks_is_refused(mistake: str, tmp_path: Path) -> None:
    with pytest.raises(HydraException, match=mistake.partition("=")[0].rpartition(".")[2]):
        compose([*overrides("tiny", tmp_path), mistake])


@pytest.mark.parametrize(
    "mistake",
    [
        f"{ACTOR}.loss_agg_mode=mean",
        "actor_rollout_ref.rollout.pipeline_model_parallel_size=2",
        "actor_rollout_ref.rollout.n=1",
    ],
)
def test_a_value_that_verl_can_not_use_is_refused(mistake: str, tmp_path: Path) -> None:
    config = compose([*overrides("camreasoner_7b", tmp_path), mistake])
    with pytest.raises((ValueError, AssertionError, NotImplementedError, HydraException)):
        validate(config)
