"""The nodes of a stage together: a `StageRunner` on each, started, followed and stopped as one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayActorError
from ray.util import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from orchestrator.errors import NodeLostError, ResourceError
from orchestrator.plan.stage import Resources
from orchestrator.run import cluster
from orchestrator.run.node import Exit, StageRunner

REPLACEMENT_SECONDS = 300.0
"""In which a cluster that heals itself has a new node in place of a lost one."""
STOP_SECONDS = 30.0
GONE = "Ray's own processes on this machine are gone"
DUMP_SECONDS = 120.0


class End(NamedTuple):
    """How a command ended, and the log of the node that says why."""

    exit: Exit
    log: Path


class Nodes:
    """Holds what a stage reserves, on as many different nodes as it wants."""

    def __init__(self, wanted: Resources) -> None:
        self._wanted = wanted
        self._group = placement_group([wanted.bundle()] * wanted.nodes, strategy="STRICT_SPREAD")
        self._actors = [self._actor(wanted, rank) for rank in range(wanted.nodes)]

    def _actor(self, wanted: Resources, rank: int) -> Any:
        return (
            ray.remote(StageRunner)
            .options(
                num_cpus=wanted.cpus,
                num_gpus=wanted.gpus,
                max_concurrency=2,  # `stop` never waits for `run`
                scheduling_strategy=PlacementGroupSchedulingStrategy(self._group, rank),
            )
            .remote()
        )

    def machine(self, alive: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """The first node's machine; waits until the nodes are free.

        Raises `ResourceError` when the cluster has lost nodes and gets none in their place, and
        `ConnectionError` when Ray is no longer `alive`.
        """
        asked, able = self._actors[0].machine.remote(), time.monotonic()
        while not ray.wait([asked], timeout=1.0)[0]:
            if not alive():
                raise ConnectionError(GONE)
            told = cluster.lacking(self._wanted)
            if told is None:
                able = time.monotonic()
            elif time.monotonic() - able > REPLACEMENT_SECONDS:
                raise ResourceError(f"the stage {told}")
        found: dict[str, Any] = ray.get(asked)
        return found

    def run(
        self,
        count: int,
        argv: Sequence[str],
        environ: Mapping[str, str],
        directory: Path,
        log: Path,
    ) -> Iterator[int | End]:
        """Run a command on the first `count` nodes: bytes that the first logs, then how it ended.

        A second without any yields 0. Where one node fails the others are stopped,
        for they would wait for it. Logs of further nodes are in `nodeN/` beside `log`. Raises
        `NodeLostError` when a node is lost.
        """
        logs = [log, *(log.parent / f"node{rank}" / log.name for rank in range(1, count))]
        ranks = [{**environ, **rank} for rank in self._rendezvous(count)]
        streams = {
            rank: actor.run.options(num_returns="streaming").remote(
                argv, ranks[rank], str(directory), str(logs[rank])
            )
            for rank, actor in enumerate(self._actors[:count])
        }
        end = End(Exit(0, 0), log)
        for rank, item in _items(streams, logs):
            if isinstance(item, int):
                yield item if rank == 0 else 0
            elif item.code and not end.exit.code:
                end = End(item, logs[rank])
                self.stop()
        yield end

    def _rendezvous(self, count: int) -> list[dict[str, str]]:
        """What torchrun on each node must know (LLaMA-Factory 0.9.5, launcher.py:64-69)."""
        if count == 1:
            return [{}]
        address, port = ray.get(self._actors[0].free_address.remote())
        first = {"MASTER_ADDR": str(address), "MASTER_PORT": str(port)}
        return [{**first, "NODE_RANK": str(rank)} for rank in range(count)]

    def dump_stacks(self, log: Path) -> None:
        """Write what every process is at beside `log`, one file a node."""
        dumps = [
            actor.dump_stacks.remote(str(log.with_suffix(f".node{rank}.stacks.txt")))
            for rank, actor in enumerate(self._actors)
        ]
        ray.wait(dumps, num_returns=len(dumps), timeout=DUMP_SECONDS)

    def stop(self) -> None:
        """End the running command's processes on every node that is still there."""
        stops = [actor.stop.remote() for actor in self._actors]
        ray.wait(stops, num_returns=len(stops), timeout=STOP_SECONDS)

    def release(self) -> None:
        """Give back what the stage reserved."""
        for actor in self._actors:
            ray.kill(actor)
        remove_placement_group(self._group)


def _items(streams: dict[int, Any], logs: Sequence[Path]) -> Iterator[tuple[int, int | Exit]]:
    """(rank, item) as they come; (0, 0) after each second without any."""
    left = dict(streams)
    while left:
        ready, _ = ray.wait(list(left.values()), timeout=1.0)
        if not ready:
            yield 0, 0
            continue
        rank = next(rank for rank, stream in left.items() if stream is ready[0])
        try:
            yield rank, ray.get(next(ready[0]))
        except StopIteration:
            del left[rank]
        except RayActorError as error:
            raise NodeLostError(f"node {rank} was lost; its log is {logs[rank]}\n{error}") from None
