"""Frames of the held-out clips: `python -m orchestrator.evaluation.prepare <config.json>`.

A missing or unreadable clip is an error here, before any model is loaded, not in the scores.
"""

from __future__ import annotations

import logging
import sys

from data_builders.frames import FrameIndex, materialise
from data_builders.progress import Meter
from orchestrator.evaluation.config import EvalConfig, run_command
from orchestrator.evaluation.questions import select

log = logging.getLogger(__name__)


def prepare(config: EvalConfig) -> FrameIndex:
    """Decode what is not in the cache yet, and write the frame index."""
    index = materialise(
        {sample.clip for sample in select(config)},
        config.clips,
        config.cache,
        config.frames,
        workers=config.workers,
        max_quarantined=config.max_quarantined,
        progress=Meter(config.out / "progress.jsonl", "decoding clips"),
    )
    for clip, reason in index.quarantined:
        log.warning("%s is left out of the evaluation: %s", clip, reason)
    index.write(config.frame_index)
    return index


if __name__ == "__main__":
    sys.exit(run_command(prepare, sys.argv[1:]))
