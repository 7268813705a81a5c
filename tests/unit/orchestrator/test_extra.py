"""Keys passed through to a trainer: they arrive, and none may contradict the recipe."""

import json
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe


def rendered(tmp_path: Path, stage: str, *overrides: str) -> str:
    made = make_plan(load_recipe("camreasoner_7b", overrides), tmp_path).stage(stage)
    return next(text for name, text in made.files.items() if Path(name).stem == "train")


def test_an_extra_key_reaches_llamafactory(tmp_path: Path) -> None:
    text = rendered(tmp_path, "sft", "sft.extra.neftune_noise_alpha=5")
    assert yaml.safe_load(text)["neftune_noise_alpha"] == 5


def test_an_extra_key_reaches_verl(tmp_path: Path) -> None:
    text = rendered(tmp_path, "rl", "rl.extra.reward.num_workers=3")
    assert json.loads(text)["overrides"]["reward.num_workers"] == 3


def test_an_extra_key_reaches_easyr1_beside_its_neighbours(tmp_path: Path) -> None:
    text = rendered(tmp_path, "rl", "rl.trainer=easyr1", "rl.extra.trainer.critic_warmup=3")
    trainer = json.loads(text)["easyr1"]["trainer"]
    assert (trainer["critic_warmup"], trainer["val_freq"]) == (3, -1)


@pytest.mark.parametrize(
    ("trainer", "key"),
    [
        ("verl", "sft.extra.learning_rate"),
        ("verl", "rl.extra.actor_rollout_ref.actor.optim.lr"),
        ("verl", "rl.extra.algorithm.ema_beta"),
        ("easyr1", "rl.extra.worker.actor.optim.lr"),
    ],
)
def test_a_second_value_for_one_key_is_refused(trainer: str, key: str, tmp_path: Path) -> None:
    recipe = load_recipe("camreasoner_7b", [f"rl.trainer={trainer}", f"{key}=0.5"])
    with pytest.raises(RecipeError, match=r"extra.*contradicts"):
        make_plan(recipe, tmp_path)


def test_the_same_value_twice_is_no_contradiction(tmp_path: Path) -> None:
    assert "learning_rate: 1.0e-05" in rendered(tmp_path, "sft", "sft.extra.learning_rate=1e-5")
