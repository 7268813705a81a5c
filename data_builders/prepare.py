"""Before a stage trains or evaluates: `python -m data_builders.prepare <config.json>`.

Decodes the stage's clips once into the frame cache and writes the questions in the form the
stage's process reads.
"""

from __future__ import annotations

import logging
import sys
from itertools import chain
from pathlib import Path
from typing import Literal

from data_builders import export
from data_builders.frames import FrameIndex, materialise
from data_builders.progress import Meter, run_command
from data_builders.sample import Sample, read_samples, shown_by
from data_builders.specs import FrameSpec, PromptSpec, Spec

log = logging.getLogger(__name__)


class PrepareConfig(Spec):
    """What a stage reads, and in which form."""

    format: Literal["llamafactory", "verl", "easyr1", "frames"]
    """Whose data files to write; `frames` writes the frame index alone."""
    samples: dict[str, Path]
    """Parquet of `data_builders.sample` by the name of the exported file."""
    clips: Path
    """Directory that the samples' clip paths are relative to."""
    frames: FrameSpec
    prompt: PromptSpec
    cache: Path
    workers: int
    max_quarantined: float
    out: Path


def prepare(config: PrepareConfig) -> FrameIndex:
    """Materialise the frames of every clip, then export the questions whose clip is readable.

    Raises `QuarantineError` when more clips are unreadable than the recipe allows.
    """
    samples = {name: read_samples(path) for name, path in config.samples.items()}
    index = materialise(
        shown_by(chain.from_iterable(samples.values())),
        config.clips,
        config.cache,
        config.frames,
        workers=config.workers,
        max_quarantined=config.max_quarantined,
        progress=Meter(config.out.parent / "progress.jsonl", "decoding clips"),
    )
    index.write(config.out / "frames.json")
    for name, rows in samples.items():
        readable = [sample for sample in rows if index.holds(sample.media)]
        lost = len(rows) - len(readable)
        log.info("%s: %d questions, %d without a readable clip", name, len(readable), lost)
        _export(config, index, readable, name)
    return index


def _export(config: PrepareConfig, index: FrameIndex, samples: list[Sample], name: str) -> None:
    if config.format == "llamafactory":
        export.to_llamafactory(samples, index, config.prompt, config.out, name)
    elif config.format == "verl":
        export.to_verl(samples, index, config.prompt, config.out / f"{name}.parquet")
    elif config.format == "easyr1":
        export.to_easyr1(samples, index, config.prompt, config.out / f"{name}.json")


def main(arguments: list[str]) -> int:
    """Read the config named on the command line and prepare; the exit status."""
    config = PrepareConfig.model_validate_json(Path(arguments[0]).read_text())
    return run_command(lambda: prepare(config))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
