"""`rl.precision` and `rl.optimizer_precision` in the engine that verl builds of a recipe's keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.config import HFModelConfig
from verl.workers.engine import EngineRegistry

sys.path.insert(0, str(Path(__file__).parents[2]))  # for `snapshot_files`, in any import mode

from snapshot_files import place

from orchestrator.doctor.parse_verl import compose
from reward_plugins.verl_plugin.overrides import to_hydra

FSDP = "actor_rollout_ref.actor.fsdp_config"


@pytest.fixture(autouse=True)
def unpatched() -> Iterator[None]:
    """verl's engine replaces the model's `forward` in its process; other tests need the model's."""
    models = [each for each in vars(modeling).values() if isinstance(each, type)]
    before = {model: vars(model).get("forward") for model in models}
    yield
    for model, forward in before.items():
        if forward is not None and vars(model).get("forward") is not forward:
            model.forward = forward


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    store = f"file://{tmp_path}/store"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("recipe", ["tiny", "camreasoner_7b"])
@pytest.mark.parametrize("kept", ["bf16", "fp32"])
@pytest.mark.usefixtures("alone")
def test_the_policy_computes_and_is_updated_in_what_the_recipe_says(
    recipe: str, kept: str, checkpoint: Path, tmp_path: Path
) -> None:
    train = json.loads((place(recipe, "rl-verl", tmp_path) / "train.json").read_text())
    given = to_hydra(train["overrides"])
    here = ["+actor_rollout_ref.model.override_config.attn_implementation=sdpa"]
    here += ["actor_rollout_ref.model.use_remove_padding=false", f"{FSDP}.use_torch_compile=false"]
    names = [line.partition("=")[0] for line in here]
    rest = [line for line in given if line.partition("=")[0] not in names]
    config = compose([*rest, *here, f"{FSDP}.model_dtype={kept}"])
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    config.actor_rollout_ref.model.path = str(checkpoint)
    engine = EngineRegistry.new(
        model_type="language_model",
        backend=actor.strategy,
        model_config=omega_conf_to_dataclass(config.actor_rollout_ref.model, HFModelConfig),
        engine_config=actor.engine,
        optimizer_config=actor.optim,
        checkpoint_config=actor.checkpoint,
    )
    engine.initialize()
    seen: set[torch.dtype] = set()
    head = engine.module.lm_head
    head.register_forward_hook(lambda _, args, out: seen.update({args[0].dtype, out.dtype}))
    ids = torch.tensor([[1, *4 * [engine.module.config.image_token_id], 2]])
    engine.module(
        input_ids=ids,
        position_ids=torch.arange(6).expand(4, 1, 6),
        pixel_values=torch.zeros(16, 3 * 2 * 14 * 14),
        image_grid_thw=torch.tensor([[1, 4, 4]]),
    )
    computed = {"tiny": torch.float32, "camreasoner_7b": torch.bfloat16}[recipe]
    assert seen == {computed} and engine._autocast_dtype == computed
    weights = {"bf16": torch.bfloat16, "fp32": torch.float32}[kept]
    assert {p.dtype for p in engine.optimizer.param_groups[0]["params"]} == {weights}
