"""A torn checkpoint is recognised by its own files, and the trainer never sees it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.console import Console
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import Stage
from orchestrator.recipe import load_recipe
from orchestrator.run import checkpoints
from orchestrator.run.execute import _left, resumed
from tests.unit.orchestrator.finished import with_values


def stage_of(name: str, directory: Path, *overrides: str) -> Stage:
    plan = make_plan(load_recipe("tiny", overrides), directory)
    return with_values(plan.stage(name), directory=directory)


def torch_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", b"x" * 1000)
    return buffer.getvalue()


def safetensors_file() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(16)


def write_sft(directory: Path, step: int) -> Path:
    path = directory / "checkpoints" / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(safetensors_file())
    (path / "optimizer.pt").write_bytes(torch_file())
    (path / "rng_state.pth").write_bytes(torch_file())
    (path / "trainer_state.json").write_text('{"global_step": 1}')
    return path


def write_rl(directory: Path, step: int, last: str = "data.pt") -> Path:
    path = directory / "checkpoints" / f"global_step_{step}"
    (path / "actor").mkdir(parents=True)
    for name in ("model", "optim", "extra_state"):
        (path / "actor" / f"{name}_world_size_1_rank_0.pt").write_bytes(torch_file())
    (path / "ema_grpo.json").write_text("{}")
    (path / last).write_bytes(torch_file())
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path, at: int = 500) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: flip(path / "optimizer.pt"),
        lambda path: (path / "model.safetensors").write_bytes(bytes([2, *bytes(7)]) + b"[]"),
        lambda path: (path / "trainer_state.json").unlink(),
        lambda path: (path / "trainer_state.json").write_text('{"global_'),
        lambda path: cut(path / "optimizer.pt"),
        lambda path: cut(path / "model.safetensors"),
        lambda path: (path / "model.safetensors").write_bytes(b""),
        lambda path: (path / "rng_state.pth").write_bytes(b""),
    ],
)
def test_a_torn_sft_checkpoint_is_passed_over(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    whole, torn = write_sft(tmp_path, 9), write_sft(tmp_path, 10)
    stage = stage_of("sft", tmp_path)
    assert checkpoints.newest(stage, Console()) == torn
    harm(torn)
    assert checkpoints.newest(stage, Console()) == whole
    assert not torn.exists()


def test_an_sft_checkpoint_without_every_ranks_state_is_torn(tmp_path: Path) -> None:
    stage = stage_of("sft", tmp_path, "cluster.gpus_per_node=2")
    whole, torn = write_sft(tmp_path, 9), write_sft(tmp_path, 10)
    for path, ranks in ((whole, 2), (torn, 1)):
        (path / "rng_state.pth").unlink()
        for rank in range(ranks):
            (path / f"rng_state_{rank}.pth").write_bytes(torch_file())
    assert checkpoints.newest(stage, Console()) == whole


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: (path / "data.pt").unlink(),
        lambda path: flip(path / "actor" / "optim_world_size_1_rank_0.pt"),
        lambda path: cut(path / "actor" / "model_world_size_1_rank_0.pt"),
        lambda path: (path / "actor" / "model_world_size_1_rank_0.pt").unlink(),
        lambda path: (path / "ema_grpo.json").write_text(""),
    ],
)
def test_verl_is_pointed_at_the_newest_whole_checkpoint(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    whole, torn = write_rl(tmp_path, 9), write_rl(tmp_path, 10)
    tracker = tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt"
    tracker.write_text("10")
    harm(torn)
    assert checkpoints.newest(stage_of("rl", tmp_path), Console()) == whole
    assert tracker.read_text() == "9" and not torn.exists()


@pytest.mark.parametrize("named", [None, "", "9", "8"])
def test_a_whole_checkpoint_that_verl_did_not_come_to_name_is_used(
    tmp_path: Path, named: str | None
) -> None:
    write_rl(tmp_path, 9)
    whole = write_rl(tmp_path, 10)
    tracker = tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt"
    if named is not None:
        tracker.write_text(named)
    assert checkpoints.newest(stage_of("rl", tmp_path), Console()) == whole
    assert tracker.read_text() == "10"


def test_without_a_whole_checkpoint_verl_begins_anew(tmp_path: Path) -> None:
    (write_rl(tmp_path, 1) / "data.pt").unlink()
    tracker = tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt"
    tracker.write_text("1")
    assert checkpoints.newest(stage_of("rl", tmp_path), Console()) is None
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("before", ["", '{"best_global_step": 3, "last_global_step": 10}'])
def test_easyr1s_tracker_keeps_what_else_it_knows(tmp_path: Path, before: str) -> None:
    whole = write_rl(tmp_path, 9, "dataloader.pt")
    tracker = tmp_path / "checkpoints" / "checkpoint_tracker.json"
    tracker.write_text(before)
    stage = stage_of("rl", tmp_path, "rl.trainer=easyr1")
    assert checkpoints.newest(stage, Console()) == whole
    told = json.loads(tracker.read_text())
    assert told["last_global_step"] == 9 and told["last_actor_path"] == str(whole / "actor")
    assert told.get("best_global_step") == (3 if before else None)


def test_a_copy_that_the_user_keeps_under_another_name_stays(tmp_path: Path) -> None:
    mine = tmp_path / "checkpoints" / "checkpoint-12-before-the-crash"
    mine.mkdir(parents=True)
    assert checkpoints.newest(stage_of("sft", tmp_path), Console()) is None
    assert mine.is_dir()


def test_a_stage_without_checkpoints_goes_on_from_none(tmp_path: Path) -> None:
    for name in ("data", "sft", "rl"):
        assert checkpoints.newest(stage_of(name, tmp_path), Console()) is None


def test_a_resumed_sft_builds_its_model_from_the_checkpoint(tmp_path: Path) -> None:
    train = stage_of("sft", tmp_path).training
    assert train is not None and train.argv[-2] == "train"
    going = resumed(train, tmp_path / "checkpoint-4")
    assert going.argv == (*train.argv, f"model_name_or_path={tmp_path}/checkpoint-4")
    assert resumed(train, None) == train


@pytest.mark.parametrize(("name", "write"), [("sft", write_sft), ("rl", write_rl)])
def test_no_trainer_goes_on_from_its_last_update(
    name: str, write: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    stage = stage_of(name, tmp_path, "rl.max_steps=8")
    assert stage.training is not None and stage.training.progress is not None
    for step, left in ((4, True), (8, False)):
        path = write(tmp_path, step)
        if name == "sft":
            (path / "trainer_state.json").write_text('{"max_steps": 8}')
        assert (stage.training in [*_left(stage, path)]) == left
        assert len([*_left(stage, path)]) == len(stage.commands) - (not left)
    assert stage.training in [*_left(stage, None)]
