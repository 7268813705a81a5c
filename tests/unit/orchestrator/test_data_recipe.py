"""What a recipe says about data: contradictions, and what the data stage is handed."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_builders.gathering import BuildConfig
from data_builders.source_specs import Repository
from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.recipe.load import recipe_names

TAUGHT = "examples/recipes/more_traces.yaml"


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
    for given, path in (("my/train", ROOT / "my/train"), ("/else/train", Path("/else/train"))):
        config = data_config("camreasoner_7b", f"data.camerabench.train_annotations={given}")
        assert config.camerabench and config.camerabench.train_annotations == path


def test_files_of_this_machine_and_of_repositories_arrive() -> None:
    mine = "{rows: my/rows, sets: {sft: a.json, rl: b.json}, clips: /clips}"
    given = (f"data.files.mine={mine}", "data.sources=[mine,camerabench]")
    config = data_config("camreasoner_7b", *given)
    assert config.files and set(config.files) == {"mine"}
    assert (config.files["mine"].rows, config.files["mine"].clips) == (
        ROOT / "my/rows",
        Path("/clips"),
    )
    config = data_config("camreasoner_7b")
    assert config.files and isinstance(config.files["camreasoning"].rows, Repository)


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("tiny", "data.sources=[synthetic,camerabench]", "data.camerabench is not given"),
        ("camreasoner_7b", "data.sources=[synthetic,shotbench]", "data.camerabench is given"),
        ("camreasoner_7b", "data.sources=[camerabench]", "nothing to imitate"),
        ("camreasoner_7b", "data.sources=[camerabench,camreasonin]", "known: .*camreasoning"),
        ("camreasoner_7b", "data.sources=[camerabench,no/file.py:sets]", "no file"),
        ("tiny", "data.files={folder: {rows: x, sets: {sft: a}, clips: y}}", "built-in source"),
        ("tiny", "data.files={mine: {rows: x, sets: {}, clips: y}}", "data.files.mine.sets"),
        ("tiny", "data.weights={synthetic: 0}", "above 0"),
        ("tiny", "data.weights={camerabench: 1}", "weigh each of them"),
        (
            "tiny",
            "data.trajectories={teacher: {model: x}, judge: null}",
            "are written for training",
        ),
        ("tiny", "data.sources=[synthetic,folder]", "data.folder is not given"),
        ("shotvl_3b", "sft.prompt=null", "shotqa brings answers without traces"),
        (TAUGHT, "sft.prompt={tags: []}", "SFT imitates bare answers"),
        (
            TAUGHT,
            "data.trajectories={teacher:{base_url:x,serve:[]},judge:{base_url:x,serve:[]}}",
            "give them two ports",
        ),
    ],
)
def test_contradictions_about_data_are_named(name: str, override: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe(name, [override])


def test_frames_of_training_do_not_render_synthetic_clips_again(tmp_path: Path) -> None:
    here, there = (
        make_plan(load_recipe("tiny", [f"frames.max_pixels={n}"]), tmp_path).stage("data")
        for n in (3136, 6272)
    )
    assert here.fingerprint == there.fingerprint


def test_a_teacher_that_the_stage_serves_gets_the_gpus_and_vllms_environment() -> None:
    words = "data.trajectories.teacher.serve=[--tensor-parallel-size,4]"
    stage = make_plan(load_recipe(TAUGHT, [words]), Path("/nowhere")).stage("data")
    assert stage.resources.gpus == 4
    assert [c.environment for c in stage.commands] == ["eval-gpu", "orchestrator"]
    config = data_config(TAUGHT, words)
    assert config.teaching and config.teaching.vllm == ROOT / ".envs/eval-gpu/bin/vllm"
    assert config.teaching.trajectories.teacher.serve == ("--tensor-parallel-size", 4)


def test_a_changed_file_of_yours_makes_the_stage_stale(tmp_path: Path) -> None:
    for name in ("rows/rl.json", "q.csv", "own.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("def sets(folder): pass")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("old")
    recipe = load_recipe(
        "camreasoner_7b",
        [
            f"data.sources=[camerabench,folder,mine,'{tmp_path}/own.py:sets']",
            f"data.files.mine={{rows: {tmp_path}/rows, sets: {{rl: rl.json}}, clips: x}}",
            f"data.folder={{clips: {tmp_path}/clips, questions: {tmp_path}/q.csv}}",
        ],
    )

    def fingerprint() -> str:
        return make_plan(recipe, tmp_path).stage("data").fingerprint

    seen = [fingerprint(), fingerprint()]
    assert seen[0] == seen[1]
    for name in ("rows/rl.json", "q.csv", "clips/a.mp4", "clips/b.mp4", "own.py"):
        (tmp_path / name).write_text("def sets(folder): return {}")
        seen.append(fingerprint())
    assert len(set(seen)) == 6


def test_the_port_of_the_review_makes_nothing_stale(tmp_path: Path) -> None:
    here, there = (
        make_plan(load_recipe("tiny", [f"review.port={n}"]), tmp_path) for n in (1000, 1001)
    )
    assert [s.fingerprint for s in here.stages] == [s.fingerprint for s in there.stages]
