"""What a recipe says about data: contradictions, and what the data stage is handed."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_builders.gathering import BuildConfig
from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.recipe.load import recipe_names


def data_config(name: str, *overrides: str) -> BuildConfig:
    stage = make_plan(load_recipe(name, overrides), Path("/nowhere")).stage("data")
    (text,) = stage.files.values()
    return BuildConfig.model_validate_json(text)


@pytest.mark.parametrize("name", recipe_names())
def test_the_data_stage_understands_every_recipe(name: str) -> None:
    config, recipe = data_config(name), load_recipe(name)
    assert config.sources == recipe.data.sources
    assert config.downloads == ROOT / recipe.data.download_dir


def test_paths_of_a_recipe_are_relative_to_the_project() -> None:
    config = data_config("camreasoner_7b", "data.camerabench.rl_questions=my/rl.json")
    assert config.camerabench and config.camerabench.rl_questions == ROOT / "my/rl.json"
    config = data_config("camreasoner_7b", "data.camerabench.rl_questions=/else/rl.json")
    assert config.camerabench and config.camerabench.rl_questions == Path("/else/rl.json")


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("tiny", "data.sources=[synthetic,camerabench]", "data.camerabench is not given"),
        ("camreasoner_7b", "data.sources=[synthetic,shotbench]", "data.camerabench is given"),
        ("camreasoner_7b", "data.trajectories=null", "nothing to imitate"),
        ("tiny", "data.weights={synthetic: 0}", "above 0"),
        ("tiny", "data.weights={camerabench: 1}", "weigh each of them"),
        ("tiny", "data.trajectories={teacher: {model: x}, judge: null}", "written for camerabench"),
        ("tiny", "data.sources=[synthetic,folder]", "data.folder is not given"),
        ("shotvl_3b", "sft.prompt=null", "shotqa brings answers without traces"),
        ("camreasoner_7b", "sft.prompt={tags: []}", "SFT imitates bare answers"),
        (
            "camreasoner_7b",
            "data.trajectories={teacher:{base_url:x,serve:[]},judge:{base_url:x,serve:[]}}",
            "give them two ports",
        ),
    ],
)
def test_contradictions_about_data_are_named(name: str, override: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe(name, [override])


def test_both_origins_of_training_questions_are_one_too_many() -> None:
    both = [f"data.camerabench.{key}=x" for key in ("rl_questions", "train_annotations")]
    with pytest.raises(RecipeError, match="not both"):
        load_recipe("camreasoner_7b", both)


def test_frames_of_training_do_not_render_synthetic_clips_again(tmp_path: Path) -> None:
    here, there = (
        make_plan(load_recipe("tiny", [f"frames.max_pixels={n}"]), tmp_path).stage("data")
        for n in (3136, 6272)
    )
    assert here.fingerprint == there.fingerprint


def test_a_teacher_that_the_stage_serves_gets_the_gpus_and_vllms_environment() -> None:
    words = "data.trajectories.teacher.serve=[--tensor-parallel-size,4]"
    stage = make_plan(load_recipe("camreasoner_7b", [words]), Path("/nowhere")).stage("data")
    assert stage.resources.gpus == 4
    assert [c.environment for c in stage.commands] == ["eval-gpu", "orchestrator"]
    config = data_config("camreasoner_7b", words)
    assert config.teaching and config.teaching.vllm == ROOT / ".envs/eval-gpu/bin/vllm"
    assert config.teaching.trajectories.teacher.serve == ("--tensor-parallel-size", 4)


def test_a_changed_file_of_yours_makes_the_stage_stale(tmp_path: Path) -> None:
    for name in ("rl.json", "q.csv"):
        (tmp_path / name).write_text("old")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("old")
    recipe = load_recipe(
        "camreasoner_7b",
        [
            "data.sources=[camerabench,folder]",
            f"data.camerabench.rl_questions={tmp_path}/rl.json",
            f"data.folder={{clips: {tmp_path}/clips, questions: {tmp_path}/q.csv}}",
        ],
    )

    def fingerprint() -> str:
        return make_plan(recipe, tmp_path).stage("data").fingerprint

    seen = [fingerprint(), fingerprint()]
    assert seen[0] == seen[1]
    for name in ("rl.json", "q.csv", "clips/a.mp4", "clips/b.mp4"):
        (tmp_path / name).write_text("newer")
        seen.append(fingerprint())
    assert len(set(seen)) == 5


def test_the_port_of_the_review_makes_nothing_stale(tmp_path: Path) -> None:
    here, there = (
        make_plan(load_recipe("tiny", [f"review.port={n}"]), tmp_path) for n in (1000, 1001)
    )
    assert [s.fingerprint for s in here.stages] == [s.fingerprint for s in there.stages]
