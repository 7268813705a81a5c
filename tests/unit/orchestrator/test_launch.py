"""Stages on a real Ray: exit codes, logs, reservations, and no process left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from orchestrator.console import Console
from orchestrator.errors import ResourceError, StageError, UnreadyError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT, Command, Progress, Resources, Stage
from orchestrator.plan.whole import read_manifest
from orchestrator.recipe import load_recipe
from orchestrator.run import store
from orchestrator.run.launch import launch
from tests.unit.orchestrator.finished import with_values

pytestmark = pytest.mark.slow


def plan_with(tmp_path: Path, code: str, **resources: object) -> Plan:
    """A plan of the tiny recipe whose only stage runs `code` in `.venv`."""
    plan = make_plan(load_recipe("tiny"), tmp_path)
    stage = with_values(
        plan.stage("data"),
        commands=(Command("orchestrator", ("-c", code, str(tmp_path))),),
        resources=Resources(**{"cpus": 1, **resources}),  # type: ignore[arg-type]
        files={},
        needs=(),
    )
    return replace(plan, stages=(stage,))


def run(plan: Plan) -> Stage:
    launch(plan, plan.stages, Console())
    return plan.stages[0]


def test_a_finished_stage_leaves_its_log_and_manifest_and_is_not_run_again(tmp_path: Path) -> None:
    plan = plan_with(
        tmp_path, "import sys; open(sys.argv[1] + '/ran', 'a').write('x'); print('hi')"
    )
    stage = run(plan)
    manifest = read_manifest(stage.directory)
    assert Path(manifest["log"]).read_text() == "hi\n"
    assert manifest["machine"]["cpus"] > 0
    assert manifest["recipe"]["name"] == manifest["run"] == "tiny"
    run(plan)
    assert (tmp_path / "ran").read_text() == "x"


def test_a_trainer_that_dies_is_one_error_with_its_exit_code_and_last_lines(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, "print('out of cheese'); raise SystemExit(7)")
    with pytest.raises(StageError, match=r"(?s)'data' died with exit code 7.*out of cheese"):
        run(plan)
    assert not store.is_done(plan.stages[0])


def test_a_trainer_that_stops_before_its_last_update_is_an_error(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    write = f"open({str(rows)!r}, 'w').write('{{\"step\": 4, \"total\": 8}}\\n')"
    plan = plan_with(tmp_path, write)
    progress = Progress(str(rows), "step", "total", whole=True)
    command = replace(plan.stages[0].commands[0], progress=progress)
    stage = with_values(plan.stages[0], commands=(command,))
    with pytest.raises(StageError, match=r"died with 4 of the 8 updates planned in .*without an e"):
        run(replace(plan, stages=(stage,)))
    assert not store.is_done(stage)


def test_a_missing_checkpoint_is_named_before_anything_starts(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, "print('never')")
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "epoch-1").touch()
    stage = with_values(plan.stages[0], needs=(tmp_path / "sft" / "epoch-2",))
    with pytest.raises(StageError, match=r"epoch-2, which does not exist.*holds: epoch-1"):
        run(replace(plan, stages=(stage,)))
    assert not (stage.directory / "logs").exists()


def test_too_few_gpus_is_an_error_before_ray_starts(tmp_path: Path) -> None:
    plan = make_plan(
        load_recipe(
            "camreasoner_7b",
            ["cluster.gpus_per_node=512", "rl.minibatch_prompts=64", "rl.group_size=8"],
        ),
        tmp_path,
    )
    with pytest.raises(ResourceError, match="needs 512 GPUs on this machine"):
        launch(plan, plan.stages, Console())
    assert not ray.is_initialized()


def test_a_missing_logger_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    plan = make_plan(load_recipe("tiny", ["loggers=[tensorboard,trackio]"]), tmp_path)
    with pytest.raises(
        UnreadyError, match=r"trackio is not in environment sft; .*\n.*in env.* rl;"
    ):
        launch(plan, plan.stages, Console())
    assert not ray.is_initialized() and not plan.stage("data").directory.exists()


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.add_node(num_cpus=4, num_gpus=1, resources={"head": 1})
    cluster.add_node(num_cpus=4, num_gpus=1, resources={"trainer": 1})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


# A driver that holds no GPU itself, and whose workers reserve all of the cluster's.
DRIVER = """
import os, ray
ray.init()
@ray.remote(num_gpus=1)
class Worker:
    def node(self):
        return ray.get_runtime_context().get_node_id()
workers = [Worker.remote() for _ in range(2)]
print("nodes", len(set(ray.get([w.node.remote() for w in workers]))))
print("trainer node left with", ray.available_resources()["trainer"])
"""


def test_a_driver_joins_the_cluster_that_launched_it_and_its_workers_get_every_gpu(
    tmp_path: Path, two_nodes: Cluster
) -> None:
    plan = plan_with(tmp_path, DRIVER, pin="trainer")
    recipe = load_recipe(
        "tiny", [f"cluster.address={two_nodes.address}", "cluster.nodes=2", "cluster.pin=trainer"]
    )
    stage = run(replace(plan, recipe=recipe))
    log = Path(read_manifest(stage.directory)["log"]).read_text()
    assert "nodes 2" in log
    assert "trainer node left with 0.999" in log


def test_a_pin_that_no_node_has_is_an_error(tmp_path: Path, two_nodes: Cluster) -> None:
    recipe = load_recipe("tiny", [f"cluster.address={two_nodes.address}", "cluster.pin=nowhere"])
    plan = replace(plan_with(tmp_path, "print('never')"), recipe=recipe)
    with pytest.raises(ResourceError, match="nowhere: 0 of"):
        run(plan)


def test_another_ray_on_the_machine_is_not_joined_unasked(
    tmp_path: Path, two_nodes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
    run(
        plan_with(
            tmp_path, "import os; assert os.environ['RAY_ADDRESS'] != " + repr(two_nodes.address)
        )
    )


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-host.invalid:6379", "host:port"])
def test_an_address_where_nobody_answers_is_an_error_at_once(tmp_path: Path, address: str) -> None:
    recipe = load_recipe("tiny", [f'cluster.address="{address}"'])
    with pytest.raises(ResourceError, match=f"no Ray cluster answers at '{address}'"):
        run(replace(plan_with(tmp_path, "print('never')"), recipe=recipe))


RANK = """
import os, sys, socket, time
rank = int(os.environ["NODE_RANK"])
first = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if rank == 0:
    with socket.create_server(first) as server:
        print("met", server.accept()[0].recv(9).decode(), flush=True)
        time.sleep(600 if sys.argv[2:] else 0)
    sys.exit()
for _ in range(600):
    try:
        with socket.create_connection(first) as client:
            client.sendall(b"rank 1")
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
if sys.argv[2:]:
    sys.exit("out of cheese on rank 1")
"""


def plan_over(cluster: Cluster, tmp_path: Path, code: str, *arguments: str, nodes: int = 2) -> Plan:
    """A plan whose stage runs `code` on several nodes at once."""
    plan = plan_with(tmp_path, code, nodes=nodes)
    argv = ("-c", code, str(tmp_path), *arguments)
    command = replace(plan.stages[0].commands[0], argv=argv, nodes=nodes)
    recipe = load_recipe("tiny", [f"cluster.address={cluster.address}", "cluster.nodes=2"])
    stage = with_values(plan.stages[0], commands=(command,))
    return replace(plan, recipe=recipe, stages=(stage,))


def test_every_node_runs_the_command_and_knows_the_first(
    tmp_path: Path, two_nodes: Cluster
) -> None:
    stage = run(plan_over(two_nodes, tmp_path, RANK))
    log = Path(read_manifest(stage.directory)["log"])
    assert log.read_text() == "met rank 1\n"
    assert (log.parent / "node1" / log.name).read_text() == ""


def test_a_node_that_fails_stops_the_others_and_its_own_log_is_shown(
    tmp_path: Path, two_nodes: Cluster
) -> None:
    plan = plan_over(two_nodes, tmp_path, RANK, "fail")
    with pytest.raises(StageError, match=r"(?s)exit code 1 .*node1/attempt_1.log.*cheese on rank"):
        run(plan)
    assert not store.is_done(plan.stages[0])


def test_a_lost_node_stops_the_others_and_is_waited_for_in_vain_only_so_long(
    tmp_path: Path,
    two_nodes: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("orchestrator.run.nodes.REPLACEMENT_SECONDS", 0.0)
    doomed = two_nodes.add_node(num_cpus=4)
    two_nodes.wait_for_nodes()
    code = "import time; print('here', flush=True); time.sleep(600)"
    plan = plan_over(two_nodes, tmp_path, code, nodes=3)
    logs = plan.stages[0].directory / "logs"

    def unplug() -> None:
        while len([log for log in logs.rglob("*.log") if log.stat().st_size]) < 3:
            time.sleep(0.1)
        two_nodes.remove_node(doomed, allow_graceful=False)

    thread = threading.Thread(target=unplug, daemon=True)
    thread.start()
    with pytest.raises(ResourceError, match=r"needs 3 nodes .* and 2 of the cluster's 2"):
        run(plan)
    assert "attempt 2 of" in capsys.readouterr().out
    thread.join()
    two_nodes.wait_for_nodes()  # until Ray itself knows


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"nodes": 3}, "needs 3 nodes with CPU 1 each, and 2 of the cluster's 2"),
        ({"cpus": 5}, "needs 1 nodes with CPU 5 each, and 0 of the cluster's 2"),
        ({"nodes": 2, "gpus": 1, "pin": "trainer"}, "GPU 1, trainer 0.001 each, and 1 of"),
    ],
)
def test_a_stage_that_no_nodes_can_hold_is_an_error_and_not_a_wait(
    tmp_path: Path, two_nodes: Cluster, resources: dict[str, object], told: str
) -> None:
    recipe = load_recipe("tiny", [f"cluster.address={two_nodes.address}"])
    plan = replace(plan_with(tmp_path, "print('never')", **resources), recipe=recipe)
    with pytest.raises(ResourceError, match=told):
        run(plan)


def test_programs_of_the_environment_are_found_by_name(tmp_path: Path) -> None:
    code = "import shutil, sys; print(shutil.which('ruff')); print(sys.executable)"
    log = Path(read_manifest(run(plan_with(tmp_path, code)).directory)["log"])
    program, python = map(Path, log.read_text().split())
    assert program.parent == python.parent


SLEEPER = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
open(sys.argv[1] + "/pids", "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""
LAUNCHER = """
import signal, sys; from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from tests.unit.orchestrator.test_launch import SLEEPER, plan_with, run
run(plan_with(Path(sys.argv[2]), SLEEPER))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_survives_the_orchestrator(tmp_path: Path, number: signal.Signals) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(ROOT), str(tmp_path)], cwd=ROOT, start_new_session=True
    )
    pids: list[int] = []
    for _ in range(600):
        if (tmp_path / "pids").exists() and (text := (tmp_path / "pids").read_text()):
            pids = [int(word) for word in text.split()]
            break
        time.sleep(0.1)
    assert len(pids) == 2, "the stage never started"
    os.kill(launcher.pid, number)
    launcher.wait(60)
    for _ in range(300):
        if not any(map(psutil.pid_exists, pids)):
            break
        time.sleep(0.1)
    assert not any(map(psutil.pid_exists, pids))
