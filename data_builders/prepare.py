"""Before a stage trains or evaluates: `python -m data_builders.prepare <config.json>`.

Decodes the stage's clips once into the frame cache and writes the questions in the form the
stage's process reads.
"""

from __future__ import annotations

import logging
import sys
from itertools import chain
from pathlib import Path
from random import Random
from typing import Literal

from data_builders import export
from data_builders.frames import FrameIndex, materialise
from data_builders.progress import Meter, run_command
from data_builders.sample import Sample, SampleError, read_samples, shown_by
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
    hold_out: int = 0
    """Least number of questions that go into a file `<name>_held_out` instead, by whole clips."""
    seed: int = 0
    """Of the order in which clips are held out."""
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
        if config.hold_out:
            readable, held_out = split(readable, config.hold_out, config.seed)
            _export(config, index, held_out, f"{name}_held_out")
        _export(config, index, readable, name)
    return index


def split(samples: list[Sample], count: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """The samples without, and with, those on clips drawn until there are `count` questions.

    Raises `SampleError` where nothing would be left to train on.
    """
    by_clip: dict[str, list[Sample]] = {}
    for sample in samples:
        by_clip.setdefault(sample.clip, []).append(sample)
    order = sorted(by_clip)
    Random(seed).shuffle(order)
    held: set[str] = set()
    for clip in order:
        if len(held) < count:
            held |= {sample.id for sample in by_clip[clip]}
    if len(held) == len(samples):
        raise SampleError(
            f"rl.validation.questions: {count} are to be held out of {len(samples)}, which leaves "
            "none to train on; lower it"
        )
    left, out = [[s for s in samples if (s.id in held) is side] for side in (False, True)]
    return left, out


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
