"""A Ray of our own on a machine that is busy."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from orchestrator.errors import ResourceError
from orchestrator.recipe import load_recipe
from orchestrator.run import cluster

SLOW = Exception("The current node timed out during startup. This could happen because ...")


def starting(monkeypatch: pytest.MonkeyPatch, *ends: BaseException | None) -> list[dict[str, Any]]:
    """`ray.init` that ends like this, one after the other; returns what it is given."""
    left: Iterator[BaseException | None] = iter(ends)
    given: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        given.append(options)
        if (error := next(left)) is not None:
            raise error

    monkeypatch.setattr(ray, "init", init)
    return given


def test_a_slow_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    given = starting(monkeypatch, SLOW, SLOW, None)
    cluster._start_local(num_cpus=2)
    assert given == 3 * [{"address": "local", "num_cpus": 2}]


def test_one_that_stays_slow_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    starting(monkeypatch, *cluster.START_TRIES * [SLOW])
    with pytest.raises(ResourceError, match=r"did not start .*cluster.address"):
        cluster._start_local()


@pytest.mark.parametrize(
    "other", [ValueError("timed out during startup"), Exception("no port"), KeyboardInterrupt()]
)
def test_other_errors_are_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, other: BaseException
) -> None:
    given = starting(monkeypatch, other)
    with pytest.raises(type(other)):
        cluster._start_local()
    assert len(given) == 1


LISTENERS = """
import psutil
from orchestrator.recipe import load_recipe
from orchestrator.run import cluster
with cluster.connected(load_recipe("tiny")):
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    sockets = [c for p in processes for c in p.net_connections() if c.status == "LISTEN"]
    print({socket.laddr.ip.removeprefix("::ffff:") for socket in sockets})
"""


def test_a_ray_of_our_own_listens_on_loopback_alone_and_starts_wherever(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20)
    deep.mkdir()
    odd = {"TMPDIR": str(deep), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", LISTENERS]
    done = subprocess.run(
        command,
        env={**os.environ, **odd},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert done.stdout.strip() == "{'127.0.0.1'}"


@pytest.mark.parametrize(("name", "store"), [("tiny", 500_000_000), ("camreasoner_7b", None)])
def test_the_object_store_is_small_on_a_laptop_only(
    name: str, store: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = starting(monkeypatch, RuntimeError("far enough"))
    with pytest.raises(RuntimeError, match="far enough"), cluster.connected(load_recipe(name)):
        pass
    assert given[0]["object_store_memory"] == store
