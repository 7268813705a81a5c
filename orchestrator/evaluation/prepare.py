"""What fails without a model: `python -m orchestrator.evaluation.prepare <config.json>`.

Frames of every clip, weights of every checkpoint, an answer from every server, a reading of every
imported file. A missing or unreadable clip is an error here, not in the scores.
"""

from __future__ import annotations

import logging
import sys

from data_builders.chat import check_endpoint
from data_builders.frames import FrameIndex, materialise
from data_builders.progress import Meter
from orchestrator.evaluation.config import EvalConfig, Server, run_command
from orchestrator.evaluation.questions import select

log = logging.getLogger(__name__)


def prepare(config: EvalConfig) -> None:
    """Check the servers, decode what is not in the cache yet, and write the frame indices."""
    for name, checkpoint in config.checkpoints.items():
        if isinstance(checkpoint, Server):
            check_endpoint(checkpoint.endpoint, f"eval.models.{name}")
    for benchmark in config.benchmarks:
        index = _materialise(config, benchmark)
        for clip, reason in index.quarantined:
            log.warning("%s: %s is left out of the evaluation: %s", benchmark, clip, reason)
        index.write(config.index_path(benchmark))


def _materialise(config: EvalConfig, benchmark: str) -> FrameIndex:
    return materialise(
        {sample.clip for sample in select(config, benchmark)},
        config.benchmarks[benchmark].clips,
        config.cache,
        config.frames,
        workers=config.workers,
        max_quarantined=config.max_quarantined,
        progress=Meter(config.out / "progress.jsonl", f"decoding clips of {benchmark}"),
    )


if __name__ == "__main__":
    sys.exit(run_command(prepare, sys.argv[1:]))
