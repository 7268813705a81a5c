"""One frame contract: SFT, rollout, actor and evaluation see the same sample the same way.

Each stack numbers a video's frames in time by rules of its own, and a difference raises no error:
it only makes the policy gradient wrong, or the evaluation another task than the training. Each
probe runs the pinned stack in its own environment; a version that changes its rule fails here.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from data_builders.prepare import PrepareConfig, prepare
from orchestrator.envs import interpreter
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT, Stage
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.run import store

PROBES = Path(__file__).parent / "probes"


def probe(environment: str, name: str, *arguments: Path) -> Any:
    command = [str(interpreter(environment)), str(PROBES / f"{name}.py"), *map(str, arguments)]
    environ = {"PYTHONPATH": str(ROOT), "VERL_PLATFORM": "cpu", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr[-4000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    return json.loads(line.removeprefix("FOUND "))


def seen_by_each(tmp_path: Path, fps: float, media: str = "video") -> dict[str, dict[str, Any]]:
    """Token ids, grids and position ids of one sample in each of the four stacks."""
    frames = [f"frames.fps={fps}", f"frames.media={media}", "data.synthetic.frames=16"]
    frames.append(f"data.synthetic.fps={round(2 * fps)}")  # of which every other one is shown
    sizes = [f"data.synthetic.{use}_clips=1" for use in ("sft", "rl", "test")]
    recipe = load_recipe("tiny", [*frames, *sizes, f"data.cache_dir={tmp_path}/frames"])
    plan = make_plan(recipe, tmp_path)
    for name in ("data", "model", "sft"):
        first_command(plan.stage(name))
    data, sft = plan.stage("data").directory, plan.stage("sft").directory
    checkpoint = plan.stage("model").directory / "checkpoint"
    export_for_verl(recipe, data, tmp_path / "verl")
    rows, index = tmp_path / "verl" / "sft.parquet", tmp_path / "verl" / "frames.json"
    return {
        "sft": probe("sft", "sft", sft / "train.yaml"),
        **probe("rl", "rl", rows, checkpoint),
        "eval": probe("eval", "evaluation", data / "sft.parquet", index, checkpoint),
    }


def first_command(stage: Stage) -> None:
    """Write the stage's files and run what comes before its trainer."""
    store.write_files(stage)
    for command in stage.commands[:-1] or stage.commands:
        argv = [str(interpreter(command.environment)), *command.argv]
        subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)


def export_for_verl(recipe: Recipe, data: Path, out: Path) -> None:
    """The SFT samples, in the form that RL reads."""
    config = {
        "format": "verl",
        "samples": {"sft": data / "sft.parquet"},
        "clips": data,
        "frames": recipe.frames,
        "prompt": recipe.prompt,
        "cache": recipe.data.cache_dir,
        "workers": 1,
        "max_quarantined": 0.0,
        "out": out,
    }
    prepare(PrepareConfig.model_validate(config))


@pytest.mark.parametrize("fps", [1, 1.5, 2, 4])
def test_all_four_see_the_same_tokens_grid_and_times(tmp_path: Path, fps: float) -> None:
    seen = seen_by_each(tmp_path, fps)
    assert_all_alike(seen)
    times = {t for t, token in zip(*times_of(seen["sft"]), strict=True) if token}
    assert len(times) == 4  # eight frames are four patches in time, each at a time of its own


def test_all_four_see_the_same_images(tmp_path: Path) -> None:
    seen = seen_by_each(tmp_path, 2, "images")
    assert_all_alike(seen)
    assert seen["sft"]["grids"] == [[1, 4, 4]] * 8  # each frame by itself, at twice the tokens
    times = {t for t, token in zip(*times_of(seen["sft"]), strict=True) if token}
    assert len(times) == 8


def assert_all_alike(seen: dict[str, dict[str, Any]]) -> None:
    for name in ("rollout", "actor", "eval"):
        for what in ("ids", "grids", "positions"):
            assert seen[name][what] == seen["sft"][what], (name, what)
    assert seen["rollout"]["pixels"] == pytest.approx(seen["sft"]["pixels"], rel=1e-6)


def times_of(view: dict[str, Any]) -> tuple[list[int], list[bool]]:
    """Temporal position of each token, and whether it is a visual one."""
    visual = max(set(view["ids"]), key=view["ids"].count)  # by far the most frequent token
    return view["positions"][0], [token == visual for token in view["ids"]]
