"""The data stage: `python -m data_builders.build <config.json>` writes clips and questions.

Leaves `sft.parquet` (questions with traces), `rl.parquet` (questions with answers only) and
`test.parquet` (held-out questions) beside the clips.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Literal

from data_builders.progress import Meter
from data_builders.sample import Sample, write_samples
from data_builders.specs import Spec, SyntheticSpec
from data_builders.synthetic.build import build as build_synthetic

log = logging.getLogger(__name__)


class BuildConfig(Spec):
    """What the stage reads and writes."""

    sources: tuple[Literal["synthetic", "camerabench"], ...]
    synthetic: SyntheticSpec | None
    workers: int
    out: Path


def build(config: BuildConfig) -> dict[str, int]:
    """Build every source and write one Parquet file a use; returns their row counts."""
    samples = [sample for source in config.sources for sample in _samples(source, config)]
    uses: dict[str, list[Sample]] = {"sft": [], "rl": [], "test": []}
    for sample in samples:
        uses[use_of(sample)].append(sample)
    return {use: write_samples(config.out / f"{use}.parquet", rows) for use, rows in uses.items()}


def use_of(sample: Sample) -> str:
    """Held-out questions are for testing; of the others, those with a trace teach in SFT."""
    if sample.split == "test":
        return "test"
    return "rl" if sample.think is None else "sft"


def _samples(source: str, config: BuildConfig) -> list[Sample]:
    if source == "synthetic" and config.synthetic is not None:
        meter = Meter(config.out / "progress.jsonl", "rendering clips")
        return list(build_synthetic(config.synthetic, config.out, config.workers, meter))
    raise ValueError(f"data.sources: {source!r} has no builder here")


def main(arguments: list[str]) -> None:
    """Read the config named on the command line and build."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = BuildConfig.model_validate_json(Path(arguments[0]).read_text())
    for use, count in build(config).items():
        log.info("%s.parquet: %s questions", use, f"{count:,}")


if __name__ == "__main__":
    main(sys.argv[1:])
