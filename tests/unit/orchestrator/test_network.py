"""The doctor's checks of what is elsewhere: the Hub, training questions, ports."""

import os
import resource
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from data_builders.source_specs import Repository
from orchestrator.doctor import machine, network
from orchestrator.plan.make import Plan, make_plan
from orchestrator.recipe import load_recipe
from orchestrator.run import store
from tests.local_server import LocalServer, reply

GATED, MISSING, GIVEN = "a/gated", "a/missing", "a/given"
FOUND = b'{"id": "a/given", "sha": "c", "siblings": [{"rfilename": "a", "size": 1, "blobId": "b"}]}'


class Hub(LocalServer):
    """Knows one repository, hides one behind its terms, and lacks all others."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        status, code = 404, "RepoNotFound"
        if GATED in request.path:
            status, code = 403, "GatedRepo"
        elif GIVEN in request.path:
            status, code = 200, ""
        reply(request, status, FOUND, {"X-Error-Code": code})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with Hub() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        yield server.url


def plan_of(tmp_path: Path, *overrides: str) -> Plan:
    return make_plan(load_recipe("camreasoner_7b", overrides), tmp_path)


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize(
    ("name", "right", "told"),
    [
        (GATED, False, "is gated: accept its terms at https://huggingface.co/"),
        (MISSING, False, "HF_TOKEN"),
        (GIVEN, True, "is there"),
    ],
)
def test_what_the_hub_does_not_give_is_told_with_its_page(
    name: str, kind: str, right: bool, told: str, hub: str
) -> None:
    found, text = network.repository(Repository(repo=name, kind=kind))
    assert found is right
    assert told in text and name in text


def test_the_model_and_every_data_set_are_asked_for(hub: str, tmp_path: Path) -> None:
    told = list(network.repositories(plan_of(tmp_path, f"model.path={GIVEN}")))
    assert [right for right, _ in told] == [True, False, False, False, False, False]
    assert "wuhang03/CamReasoner" in told[1][1]
    assert "chancharikm/cambench_train_videos" in told[2][1]


def test_what_is_here_is_not_asked_for(hub: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"model.path={tmp_path}")
    plan.stage("data").directory.mkdir(parents=True)
    store.finish(plan.stage("data"), {})
    ((right, text),) = network.repositories(plan)
    assert right is True and "on this machine" in text
    assert list(network.training_questions(plan)) == []


def test_without_a_network_the_hub_is_not_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert [right for right, _ in network.repositories(plan_of(tmp_path))] == [None, None]


def test_the_public_data_need_nothing_of_this_machine(tmp_path: Path) -> None:
    ((right, text),) = network.training_questions(plan_of(tmp_path))
    assert right is True, text


def test_missing_training_questions_are_told_before_anything_is_fetched(tmp_path: Path) -> None:
    given = "data.camerabench.train_annotations=/nowhere/annotations"
    ((right, text),) = network.training_questions(plan_of(tmp_path, given))
    assert right is False and "/nowhere/annotations" in text


def test_a_cluster_that_does_not_answer_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        recipe = load_recipe("camreasoner_7b", [f"cluster.address={address}"])
        assert network.rendezvous(recipe)[0] is True
    right, text = network.rendezvous(recipe)
    assert right is False and address in text


def test_too_few_ports_or_open_files_are_told() -> None:
    recipe = load_recipe("tiny")
    assert network.rendezvous(recipe)[0] is True
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as lowest:  # the tests before may have left more than a few open
        limit = lowest.fileno() + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        right, text = network.rendezvous(recipe)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert right is False and "Too many open files" in text and "ulimit -n" in text


def test_a_taken_review_port_is_told_and_stops_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        right, text = network.review_page(load_recipe("tiny", [f"review.port={port}"]))
        assert right is None and f"review.port: {port}" in text
    assert network.review_page(load_recipe("tiny", ["review.port=0"]))[0] is True


def test_the_video_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right, text = machine.video()
    assert right is True and text.startswith("video: PyAV ")
    monkeypatch.setattr(machine, "DECODERS", ("h264", "no_such_codec"))
    right, text = machine.video()
    assert right is False and text.endswith("lacks no_such_codec; install the wheel of envs/*.txt")
