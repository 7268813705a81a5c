"""One frame contract: SFT, rollout, actor and evaluation see the same sample the same way.

Each stack numbers a video's frames in time by rules of its own, and a difference raises no error:
it only makes the policy gradient wrong, or the evaluation another task than the training. Each
probe runs the pinned stack in its own environment; a version that changes its rule fails here.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_builders.media import image
from data_builders.prepare import PrepareConfig, prepare
from data_builders.sample import Sample, read_samples, write_samples
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


Views = dict[str, list[dict[str, Any]]]
"""Token ids, grids, pixels and position ids of each sample, by the stack that sees them."""
VISION = ("image_grid_thw", "video_grid_thw", "pixel_values", "pixel_values_videos")


def seen_by_each(
    tmp_path: Path,
    *overrides: str,
    fps: float = 2,
    asked: Callable[[Path, Sample], list[Sample]] = lambda data, sample: [sample],
) -> Views:
    """What the four stacks see of the samples that `asked` makes of the first one."""
    frames = [f"frames.fps={fps}", "data.synthetic.frames=16", *overrides]
    frames.append(f"data.synthetic.fps={round(2 * fps)}")  # of which every other one is shown
    sizes = [f"data.synthetic.{use}_clips=1" for use in ("sft", "rl", "test")]
    recipe = load_recipe("tiny", [*frames, *sizes, f"data.cache_dir={tmp_path}/frames"])
    plan = make_plan(recipe, tmp_path)
    first_command(plan.stage("data"))
    data, sft = plan.stage("data").directory, plan.stage("sft").directory
    write_samples(data / "sft.parquet", asked(data, read_samples(data / "sft.parquet")[0]))
    for name in ("model", "sft"):
        first_command(plan.stage(name))
    checkpoint = plan.stage("model").directory / "checkpoint"
    export_for_verl(recipe, data, tmp_path / "verl")
    rows, index = tmp_path / "verl" / "sft.parquet", tmp_path / "verl" / "frames.json"
    return {
        **probe("sft", "sft", sft / "train.yaml"),
        **probe("rl", "rl", rows, checkpoint),
        "eval": probe("eval", "evaluation", data / "sft.parquet", index, checkpoint),
    }


def first_command(stage: Stage) -> None:
    """Write the stage's files and run what comes before its trainer."""
    store.write_files(stage)
    for command in stage.commands:
        if command == stage.training:
            break
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
    seen = seen_by_each(tmp_path, fps=fps)
    assert_all_alike(seen)
    assert len(times_of(seen["sft"][0])) == 4  # eight frames are four patches, each at its time


def test_all_four_see_the_same_frames_as_images(tmp_path: Path) -> None:
    seen = seen_by_each(tmp_path, "frames.media=images")
    assert_all_alike(seen)
    [view] = seen["sft"]
    assert view["image_grid_thw"] == [[1, 4, 4]] * 8  # each frame by itself, at twice the tokens
    assert len(times_of(view)) == 8


def of_all_kinds(data: Path, sample: Sample) -> list[Sample]:
    """A question about an image, two, an image beside the video, the video, and about nothing."""
    for number, size in enumerate([(112, 84), (56, 56)]):
        noise = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(data / f"{number}.png")
    stills, rest = (image("0.png"), image("1.png")), sample.media
    shown = [stills[:1], stills, (*stills[:1], *rest), rest, (), (*rest, *stills)]
    placed = {"question": "From <video> or <image>, or <image>?", "media": (*rest, *stills)}
    kinds = [sample.model_copy(update={"media": media}) for media in shown]
    return [*kinds, sample.model_copy(update=placed)]


def test_an_image_is_one_image_in_all_four_alone_and_among_rows_of_all_kinds(
    tmp_path: Path,
) -> None:
    limits = ["frames.image_max_pixels=12544"]
    seen = seen_by_each(tmp_path, *limits, asked=of_all_kinds)
    first, *_, text, _, placed = seen["sft"]
    for key in VISION:  # a batch of texts alone gets a blank image that nothing attends to
        text.pop(key, None)
    assert_all_alike(seen)
    assert first["image_grid_thw"] == [[1, 8, 6]]  # its own size, above that of a frame
    assert not any(key in first for key in ("video_grid_thw", "pixel_values_videos"))
    assert len(placed["image_grid_thw"]) == 2 and len(placed["video_grid_thw"]) == 1
    batch = seen["batch"]
    for row, alone in zip(batch["rows"], seen["sft"], strict=True):
        assert {key: alone[key] for key in row} == row
    for key in VISION:
        assert batch[key] == [line for view in seen["sft"] for line in view.get(key, [])], key


def assert_all_alike(seen: Views) -> None:
    for name in ("rollout", "actor", "eval"):
        for row, view in enumerate(seen[name]):
            expected = seen["sft"][row]
            assert view.keys() == expected.keys(), (name, row)
            for what, found in view.items():
                same = np.allclose if what.startswith("pixel") else np.array_equal
                assert same(found, expected[what]), (name, row, what)


def times_of(view: dict[str, Any]) -> set[int]:
    """Temporal positions of its visual tokens."""
    visual = max(set(view["ids"]), key=view["ids"].count)  # by far the most frequent token
    pairs = zip(view["positions"][0], view["ids"], strict=True)
    return {time for time, token in pairs if token == visual}
