"""Join a Ray cluster or start a local one, and check that it holds what a recipe asks for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ResourceError
from orchestrator.plan.stage import Resources, Stage
from orchestrator.recipe import Recipe
from orchestrator.run.gpus import local_gpus

if TYPE_CHECKING:
    import psutil

LOGICAL_CPUS = 32
"""CPU slots of a local Ray: verl's actors each take one and mostly wait."""
OBJECT_STORE_BYTES = 500_000_000
"""On a laptop; on a GPU node Ray's own share of memory, which frames need."""
LOOPBACK = ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
"""Ray, and verl's queues with it, run what anyone sends to their ports. With this in the
environment they listen on 127.0.0.1 alone (ray 2.60, _private/services.py:815)."""
DAEMONS = ("gcs_server", "raylet")
START_TRIES = 3
LONGEST_FOLDER = 40
"""Letters of the temporary folder: Ray puts sockets deep below it, whose paths have 107 at most."""
KNOCK_SECONDS = 5.0


def check_gpus(recipe: Recipe, found: int | None = None) -> None:
    """Raise `ResourceError` when this machine has fewer GPUs than one node of the recipe."""
    if recipe.cluster.device == "cpu" or recipe.cluster.address is not None:
        return
    found = local_gpus() if found is None else found
    wanted = recipe.cluster.gpus_per_node
    if found < wanted:
        raise ResourceError(
            f"cluster.gpus_per_node: recipe {recipe.name!r} needs {wanted} GPUs on this machine, "
            f"found {found}. Run it on a GPU node, name a cluster (cluster.address=<host:port>), "
            "lower cluster.gpus_per_node, or try the whole pipeline without a GPU: make demo"
        )


@contextmanager
def connected(recipe: Recipe) -> Iterator[str]:
    """A Ray cluster for the length of a run; yields its address for drivers that join it."""
    if recipe.cluster.address is None:
        os.environ.setdefault(*LOOPBACK)  # before Ray is imported
        if recipe.cluster.device == "cpu":  # Ray would hold its logical GPUs against it
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # it writes past the live view, and breaks it
    on_terminate = signal.getsignal(signal.SIGTERM)
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": False}
    if recipe.cluster.address is not None:
        check_address(recipe.cluster.address)
        try:
            ray.init(address=recipe.cluster.address, **quiet)
        except ConnectionError as error:
            raise _unreachable(recipe.cluster.address, error) from error
        except RuntimeError as error:  # of another version of Ray, or of Python
            told = " ".join(str(error).split())
            raise ResourceError(
                f"cluster.address: {recipe.cluster.address} can't be joined from here: {told} "
                f"Start the cluster with {sys.prefix}/bin/ray ({ray.__version__})"
            ) from error
    else:
        _start_local(
            num_cpus=max(LOGICAL_CPUS, os.cpu_count() or 1),
            num_gpus=recipe.cluster.gpus_per_node,
            object_store_memory=OBJECT_STORE_BYTES if recipe.cluster.device == "cpu" else None,
            include_dashboard=False,
            resources={recipe.cluster.pin: 1.0} if recipe.cluster.pin else None,
            **quiet,
        )
    signal.signal(signal.SIGTERM, on_terminate)  # Ray's own handler aborts without cleaning up
    try:
        _check_cluster(recipe, ray.cluster_resources())
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


def _start_local(**options: Any) -> None:
    """Start a Ray of our own: without `local` it would join whatever else runs on this machine."""
    import ray

    if len(tempfile.gettempdir()) > LONGEST_FOLDER and "RAY_TMPDIR" not in os.environ:
        options["_temp_dir"] = f"/tmp/ray-{os.getuid()}"
    for _ in range(START_TRIES):
        with _SlowStart() as start:
            ray.init(address="local", **options)
        if not start.timed_out:
            return
        for daemon in _daemons():
            daemon.kill()
    raise ResourceError(
        f"Ray did not start on this machine in {START_TRIES} times 30 seconds: too much else runs "
        "here. Try again when it is quieter, or name a cluster (cluster.address=<host:port>)"
    )


class _SlowStart:
    """Swallows what Ray raises after 30 s on a busy machine: a bare `Exception`, of no class of
    its own, which no `except` could tell from others (ray 2.60, _private/node.py:440).
    """

    timed_out = False

    def __enter__(self) -> _SlowStart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        self.timed_out = kind is Exception and "timed out during startup" in str(error)
        return self.timed_out


def _daemons() -> list[psutil.Process]:
    """Ray's own processes that this one started, without those that died before."""
    import psutil  # not needed to plan

    children = psutil.Process().children(recursive=True)
    return [p for p in children if p.name() in DAEMONS and _runs(p)]


class Session:
    """A Ray cluster for the length of a run: joined when first needed, and again after `drop`."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._stack = ExitStack()
        self._address: str | None = None
        self._daemons: list[psutil.Process] = []

    def address(self) -> str:
        """Where drivers join it. Raises what `connected` does."""
        if self._address is None:
            self._address = self._stack.enter_context(connected(self._recipe))
            self._daemons = _daemons()
        return self._address

    def alive(self) -> bool:
        """Whether Ray's own processes on this machine, if they are ours, still run.

        Ray itself notices late, and ends this very process a minute after its GCS is gone.
        """
        return self._address is not None and all(map(_runs, self._daemons))

    def drop(self) -> None:
        """Leave the cluster; one of our own ends, with every process in it."""
        self._address, self._daemons = None, []
        self._stack.close()

    close = drop


def _runs(process: psutil.Process) -> bool:
    import psutil

    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def check_address(address: str) -> None:
    """Knock before Ray does: it tries for minutes where nobody answers."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # `auto`, or the name of a local cluster
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> ResourceError:
    return ResourceError(
        f"cluster.address: no Ray cluster answers at {address!r} ({error}). Start one there with "
        f"`{sys.prefix}/bin/ray start --head`, name the <host:port> it prints, or leave "
        "cluster.address out to run on this machine"
    )


def _check_cluster(recipe: Recipe, found: dict[str, float]) -> None:
    cluster = recipe.cluster
    wanted: dict[str, float] = {"CPU": cluster.cpus_per_stage, "GPU": recipe.devices}
    if cluster.pin is not None:
        wanted[cluster.pin] = 0.001
    lacking = [
        f"{name}: {found.get(name, 0):g} of {amount:g}"
        for name, amount in wanted.items()
        if found.get(name, 0) < amount
    ]
    if lacking:
        raise ResourceError(
            f"the Ray cluster at {cluster.address or 'this machine'} lacks what recipe "
            f"{recipe.name!r} asks for ({'; '.join(lacking)}); add nodes, or lower "
            "cluster.nodes, cluster.gpus_per_node, cluster.cpus_per_stage, or unset cluster.pin"
        )


def check_nodes(stages: Sequence[Stage]) -> None:
    """Raise `ResourceError` for a stage that would wait for ever for nodes large enough."""
    for stage in stages:
        if told := lacking(stage.resources):
            raise ResourceError(f"stage {stage.name!r} {told}")


def lacking(wanted: Resources) -> str | None:
    """Why the cluster, were it idle, could not hold what is wanted; None where it could."""
    import ray

    bundle = wanted.bundle()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    able = sum(all(n.get(name, 0) >= least for name, least in bundle.items()) for n in nodes)
    if able >= wanted.nodes:
        return None
    each = ", ".join(f"{name} {least:g}" for name, least in bundle.items())
    return (
        f"needs {wanted.nodes} nodes with {each} each, and {able} of the cluster's {len(nodes)} "
        "are such; add nodes (cluster.address=<host:port> names an existing cluster), or lower "
        "cluster.nodes, cluster.gpus_per_node or cluster.cpus_per_stage, or unset cluster.pin"
    )
