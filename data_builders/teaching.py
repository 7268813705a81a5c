"""Trajectories as a part of the data stage: frames for the teacher, replies that outlive a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock

from data_builders.chat import EndpointError, check_endpoint
from data_builders.frames import materialise
from data_builders.placing import without
from data_builders.progress import Meter
from data_builders.sample import Sample, read_samples, shown_by
from data_builders.serving import served
from data_builders.specs import FrameSpec, Spec
from data_builders.trajectories import synthesise
from data_builders.trajectory_specs import EndpointSpec, TrajectorySpec
from data_builders.trajectory_writer import CachedClips
from reward_plugins.errors import CamReasonerError

log = logging.getLogger(__name__)


class TeachingError(CamReasonerError, RuntimeError):
    """A teacher none of whose trajectories may teach."""


class TeachingConfig(Spec):
    """Who writes traces for training questions that have none, and what it sees."""

    trajectories: TrajectorySpec
    frames: FrameSpec
    cache: Path
    replies: Path
    """Paid replies, shared by all recipes: another one asks for much the same."""
    vllm: Path | None
    """Executable that serves the models of endpoints with `serve`; None where there are none."""
    workers: int
    max_quarantined: float


def check_endpoints(config: TeachingConfig) -> None:
    """Raise `EndpointError` unless the servers answer, or answered before and may have all said.

    Those that the stage starts itself only need their executable.
    """
    if config.replies.exists():
        return
    for key, spec in _endpoints(config.trajectories):
        if spec.serve is None:
            check_endpoint(spec, key)
        elif config.vllm is None or not config.vllm.is_file():
            raise EndpointError(f"{key}.serve: no vLLM at {config.vllm}; run `make setup`")


def _endpoints(spec: TrajectorySpec) -> list[tuple[str, EndpointSpec]]:
    teacher = ("data.trajectories.teacher", spec.teacher)
    return [teacher, ("data.trajectories.judge", spec.judge)] if spec.judge else [teacher]


def teach(samples: Sequence[Sample], config: TeachingConfig, out: Path) -> list[Sample]:
    """Trajectories for `samples`, whose clips lie under `out`; `out/trajectories` says the rest.

    Raises `EndpointError` for a server that stops answering, `QuarantineError` for too many clips
    that can't be read, `TeachingError` when nothing passes the filters.
    """
    folder = out / "trajectories"
    index = materialise(
        shown_by(samples),
        out,
        config.cache,
        config.frames,
        workers=config.workers,
        max_quarantined=config.max_quarantined,
        progress=Meter(out / "progress.jsonl", "decoding clips"),
    )
    for clip, reason in index.quarantined:
        log.warning("no trajectory for questions on %s: %s", clip, reason)
    readable = without(samples, index.quarantined)
    config.replies.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        held.enter_context(FileLock(config.replies.with_suffix(".lock")))
        for key, endpoint in _endpoints(config.trajectories):
            output = out / f"vllm-{key.rpartition('.')[2]}.log"
            held.enter_context(served(endpoint, key, [str(config.vllm)], output))
        meter = Meter(out / "progress.jsonl", "writing trajectories")
        clips, spec = CachedClips(index), config.trajectories
        summary = synthesise(readable, clips, spec, folder, meter, config.replies)
    if summary.accepted == 0:
        raise TeachingError(
            f"none of {summary.asked:,} trajectories passed the filters ({summary.rejected}); "
            f"{folder}/rejected.jsonl has every reason: choose another data.trajectories.teacher"
        )
    return read_samples(folder / "trajectories.parquet")
