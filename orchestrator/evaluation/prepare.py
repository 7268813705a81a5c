"""What fails without a model: `python -m orchestrator.evaluation.prepare <config.json>`.

Frames of every clip, an answer from every server, a reading of every imported file. A missing or
unreadable clip is an error here, not in the scores.
"""

from __future__ import annotations

import logging
import sys

from data_builders.frames import FrameIndex, materialise
from data_builders.progress import Meter
from data_builders.sample import shown_by
from orchestrator.evaluation.config import EvalConfig, Imported, run_command
from orchestrator.evaluation.interop.answers import read_answers
from orchestrator.evaluation.questions import asked, select
from orchestrator.evaluation.served import write_told

log = logging.getLogger(__name__)


def prepare(config: EvalConfig) -> None:
    """Ask servers what they serve, decode clips, write the frame indices, read imported files."""
    write_told(config)
    write_frames(config)
    for checkpoint in config.checkpoints.values():
        if isinstance(checkpoint, Imported):
            for benchmark in config.benchmarks.keys() & checkpoint.predictions.keys():
                samples = asked(config, benchmark).samples
                read_answers(checkpoint.predictions[benchmark], samples)


def write_frames(config: EvalConfig) -> None:
    """Decode every benchmark's clips, and say which are left out, and why."""
    for benchmark in config.benchmarks:
        index = _materialise(config, benchmark)
        for clip, reason in index.quarantined:
            log.warning("%s: %s is left out of the evaluation: %s", benchmark, clip, reason)
        index.write(config.index_path(benchmark))


def _materialise(config: EvalConfig, benchmark: str) -> FrameIndex:
    return materialise(
        shown_by(select(config, benchmark)),
        config.benchmarks[benchmark].clips,
        config.cache,
        config.frames,
        workers=config.workers,
        max_quarantined=config.max_quarantined,
        progress=Meter(config.out / "progress.jsonl", f"decoding clips of {benchmark}"),
    )


if __name__ == "__main__":
    sys.exit(run_command(prepare, sys.argv[1:]))
