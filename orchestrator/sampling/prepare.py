"""Decode what the questions show: `python -m orchestrator.sampling.prepare <config.json>`."""

from __future__ import annotations

import logging
import sys

from data_builders.frames import materialise
from data_builders.progress import Meter
from orchestrator.sampling.config import SampleConfig, run

log = logging.getLogger(__name__)


def prepare(config: SampleConfig) -> None:
    """Write the index of the frames, and say which questions are left out, and why."""
    index = materialise(
        {item for sample in config.draw() for item in sample.media},
        config.questions.clips,
        config.cache,
        config.frames,
        workers=config.workers,
        max_quarantined=config.max_quarantined,
        progress=Meter(config.out / "progress.jsonl", "decoding clips"),
    )
    for clip, reason in index.quarantined:
        log.warning("%s is left out: %s", clip, reason)
    index.write(config.index)


if __name__ == "__main__":
    sys.exit(run(prepare, sys.argv[1:]))
