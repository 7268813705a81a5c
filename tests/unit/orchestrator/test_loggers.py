"""Loggers: one key for both trainers, and never a crash where a service is out of reach."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import yaml

from orchestrator.doctor import network as checks
from orchestrator.plan.loggers import environ, missing, offline, reachable, unavailable
from orchestrator.plan.make import make_plan
from orchestrator.recipe import load_recipe
from reward_plugins.logger_modes import logger_modes

ALL = ("tensorboard", "wandb", "trackio", "swanlab")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_one_key_reaches_every_trainer(tmp_path: Path) -> None:
    for trainer in ("verl", "easyr1"):
        recipe = load_recipe("tiny", ["loggers=[wandb,swanlab]", f"rl.trainer={trainer}"])
        sft, rl = (make_plan(recipe, tmp_path).stage(name) for name in ("sft", "rl"))
        train = yaml.safe_load(sft.files[str(sft.directory / "train.yaml")])
        assert train["report_to"] == ["wandb", "swanlab"] and train["project"] == "camreasoner"
        given = json.loads(rl.files[str(rl.directory / "train.json")])
        if trainer == "verl":
            assert given["overrides"]["trainer.logger"] == ["console", "wandb", "swanlab"]
        else:
            logger = given["easyr1"]["trainer"]["logger"]
            assert logger == ["file", "console", "wandb", "swanlab"]
        for environment, stage in ((given["env"], rl), (sft.commands[2].environ, sft)):
            assert environment["WANDB_DIR"] == str(stage.directory / "wandb")
            assert environment["SWANLAB_LOG_DIR"] == str(stage.directory / "swanlab")
    recipe = load_recipe("tiny", ["loggers=[]"])
    sft = make_plan(recipe, tmp_path).stage("sft")
    assert yaml.safe_load(sft.files[str(sft.directory / "train.yaml")])["report_to"] == "none"


def test_without_a_key_a_service_is_offline() -> None:
    assert offline(ALL, {}) == {"WANDB_MODE": "offline", "SWANLAB_MODE": "offline"}
    assert dict(unavailable(ALL, {}))["wandb"] == "WANDB_API_KEY is not set"
    assert offline(("tensorboard", "trackio"), {}) == {}


def test_a_service_that_can_not_be_reached_is_offline_and_one_that_can_is_not(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        given = {"WANDB_API_KEY": "k", "WANDB_BASE_URL": address}
        assert offline(("wandb",), given) == {}
        (home / ".netrc").write_text("machine 127.0.0.1 login user password k\n")
        assert offline(("wandb",), {"WANDB_BASE_URL": address}) == {}
        assert reachable("https://nowhere.invalid", {"HTTPS_PROXY": address})
    assert offline(("wandb",), given) == {"WANDB_MODE": "offline"}
    assert f"{address} can't be reached" in dict(unavailable(("wandb",), given))["wandb"]


def test_a_mode_that_the_user_gave_stays() -> None:
    assert offline(("wandb",), {"WANDB_MODE": "disabled"}) == {}


def test_workers_get_the_modes_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.delenv("SWANLAB_MODE", raising=False)
    assert logger_modes() == {"WANDB_MODE": "offline"}


def test_files_of_every_logger_stay_in_the_stage() -> None:
    folders = environ(load_recipe("tiny", [f"loggers=[{','.join(ALL)}]"]))
    names = {value.value.path for key, value in folders.items() if "_DIR" in key}
    assert names == set(ALL)


def test_the_doctor_names_a_logger_that_is_not_installed_and_how_to_add_it(tmp_path: Path) -> None:
    for environment, packages in (("sft", "tensorboard==2\nwandb==1\n"), ("rl", "wandb==1\n")):
        (tmp_path / f"{environment}.txt").write_text(packages)
    plan = make_plan(load_recipe("tiny", ["loggers=[tensorboard,wandb]"]), tmp_path)
    (right, text), (unknown, offline) = checks.loggers(plan, tmp_path)
    assert right is False and "tensorboard is not in environment rl" in text
    assert "add a line `tensorboard` to envs/rl.in and run `make lock`" in text
    sft, newest, *_ = missing(["trackio", "swanlab"], plan.stages, tmp_path)
    assert "needs gradio 5 and trackio gradio 6" in sft and "line `swanlab<0.8`" in newest
    assert unknown is None and "wandb will log offline: WANDB_API_KEY is not set" in offline


@pytest.mark.parametrize("name", ["tiny", "camreasoner_7b"])
def test_the_recipes_own_loggers_are_in_the_locks(tmp_path: Path, name: str) -> None:
    assert list(checks.loggers(make_plan(load_recipe(name), tmp_path))) == []
