"""Estimates: near the paper's cost, in the right direction, and with a way out."""

import re
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.doctor.estimate import (
    Estimate,
    estimate,
    fits,
    proposal,
    rl_questions,
    sft_samples,
    views,
)
from orchestrator.doctor.memory import kv_tokens
from orchestrator.doctor.sheets import BACKBONES, GPUS, visual_tokens
from orchestrator.recipe import load_recipe, recipe_names

H200, A100_80 = GPUS[0], next(gpu for gpu in GPUS if gpu.name == "A100")


def of(stage: str, *overrides: str, name: str = "camreasoner_7b") -> Estimate:
    found = estimate(load_recipe(name, overrides), H200)
    return next(item for item in found if item.stage == stage)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen2.5-VL-3B-Instruct", 3.75),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8.29),
        ("Qwen/Qwen2.5-VL-72B-Instruct", 73.4),
        ("Qwen/Qwen3-VL-4B-Instruct", 4.44),
        ("Qwen/Qwen3-VL-8B-Instruct", 8.77),
    ],
)
def test_a_backbone_has_its_published_size(name: str, billions: float) -> None:
    assert BACKBONES[name].parameters == pytest.approx(1e9 * billions, rel=0.04)


def test_two_frames_share_their_tokens_unless_they_are_images() -> None:
    spec = load_recipe("camreasoner_7b").frames
    assert visual_tokens(2, 28 * 28 * 10, spec) == visual_tokens(1, 28 * 28 * 10, spec) == 10
    assert visual_tokens(64, 10**9, spec) == 32 * 334
    images = spec.model_copy(update={"media": "images"})
    assert visual_tokens(2, 28 * 28 * 10, images) == 20


def test_the_papers_runs_take_about_as_long_as_it_says() -> None:
    """SFT 3 h; GRPO 7 h, with the released code's images and 85 steps."""
    assert of("sft").hours == pytest.approx(3, rel=0.3)
    released = of("rl", "rl.max_steps=85", name="camreasoner_7b_as_released")
    assert released.hours == pytest.approx(7, rel=0.3)


TRAINING = [name for name in recipe_names() if name != "tiny" and load_recipe(name).stages]


@pytest.mark.parametrize("name", TRAINING)
def test_a_recipe_expects_the_hours_of_its_estimate(name: str) -> None:
    recipe = load_recipe(name)
    if not (rl_questions(recipe) or sft_samples(recipe)):  # nobody counted its rows
        assert re.fullmatch(rf"\w+ on {recipe.devices} H200, unmeasured.*", recipe.expected)
        return
    told = re.fullmatch(r"about (\d+) hours on (\d) (\w+)", recipe.expected)
    assert told and int(told[2]) == recipe.devices, recipe.expected
    gpu = next(gpu for gpu in GPUS if gpu.name == told[3])
    hours = sum(stage.hours for stage in estimate(recipe, gpu))
    assert int(told[1]) == pytest.approx(hours, rel=0.05)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_fits_the_papers_gpus(name: str) -> None:
    recipe = load_recipe(name)
    assert all(fits(stage, H200) for stage in estimate(recipe, H200))
    longest = recipe.rl.max_prompt_length + recipe.rl.max_response_length
    assert kv_tokens(recipe, H200) > longest


def test_arithmetic_scales_with_the_group_and_falls_without_a_reference_policy() -> None:
    assert of("rl", "rl.group_size=16").flops == pytest.approx(2 * of("rl").flops, rel=0.05)
    without = of("rl", "rl.kl.enabled=false", "rl.kl.kl_coef=0")
    assert without.flops < of("rl").flops
    assert without.bytes < of("rl").bytes


def test_memory_falls_with_sharding() -> None:
    plain, two, three = (of("sft", f"sft.zero_stage={z}").bytes for z in ("null", 2, 3))
    assert plain > two > three
    assert of("rl", "cluster.nodes=2").bytes < of("rl").bytes


def test_what_does_not_fit_gets_an_override_that_does() -> None:
    recipe = load_recipe("camreasoner_7b", ["sft.zero_stage=null", "sft.freeze_vision_tower=false"])
    assert not all(fits(stage, H200) for stage in estimate(recipe, H200))
    assert proposal(recipe, H200) == "sft.zero_stage=3"
    small = load_recipe("camreasoner_7b")
    override = proposal(small, A100_80)
    assert override is not None
    mended = load_recipe("camreasoner_7b", override.split())
    assert all(fits(stage, A100_80) for stage in estimate(mended, A100_80))


def test_an_unknown_backbone_has_no_estimate() -> None:
    assert estimate(load_recipe("camreasoner_7b", ["model.path=some/model"]), H200) == []


def test_a_stage_that_sees_other_frames_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sft, rl, evaluated = views(load_recipe("camreasoner_7b"))
    assert rl[1:] == evaluated[1:] == (1.0, 6, 262144, 1002, "video")
    assert sft[1:] == (2.0, 12, 16384, 120, "video")
    sft, rl, _ = views(load_recipe("camreasoner_7b_as_released"))
    assert (sft.media, rl.media, rl.tokens) == ("video", "images", 6 * (1280 * 720 // 28**2))
    assert main(["plan", "recipe=camreasoner_7b", f"runs_dir={tmp_path}"]) == 0
    shown = capsys.readouterr().out.split("differently")[1].splitlines()
    assert [line.split()[0] for line in shown[1:5]] == ["stage", "sft", "rl", "eval"]
    assert main(["plan", "recipe=tiny", f"runs_dir={tmp_path}"]) == 0
    assert "differently" not in capsys.readouterr().out


def test_pixel_values_of_each_response_pass_through_the_hosts_memory() -> None:
    told = of("rl")
    assert told.host == 128 * 8 * 1002 * 4 * 1176 * 4  # responses, tokens, patches, values, bytes
    assert of("rl", "rl.trainer=easyr1").host == 0 < of("rl", "rl.trainer=easyr1").hours
    assert of("rl", "rl.trainer=easyr1").hours < told.hours
