"""The data stage: `python -m data_builders.build <config.json>` writes clips and questions.

Leaves `sft.parquet` (questions with traces), `rl.parquet` (questions with answers only) and
`test.parquet` (held-out questions) beside the clips, with `audit.json` (what the questions give
away) and `quarantine.json` (what was left out, and why).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from data_builders import sources
from data_builders.audit import audit, write_audit
from data_builders.camerabench import AnnotationsError
from data_builders.mixing import mix
from data_builders.placing import link_clips, report_quarantine, without
from data_builders.progress import Meter
from data_builders.sample import Sample, write_samples
from data_builders.source_specs import CameraBenchSpec, SourceName
from data_builders.specs import Spec, SyntheticSpec
from data_builders.synthetic.build import build as build_synthetic
from data_builders.teaching import TeachingConfig, check_endpoints, teach

log = logging.getLogger(__name__)

USES = ("sft", "rl", "test")


class BuildConfig(Spec):
    """What the stage reads and writes."""

    sources: tuple[SourceName, ...]
    weights: dict[SourceName, float] | None
    camerabench: CameraBenchSpec | None
    synthetic: SyntheticSpec | None
    teaching: TeachingConfig | None
    downloads: Path
    max_quarantined: float
    workers: int
    seed: int
    out: Path


def build(config: BuildConfig) -> dict[str, int]:
    """Build every source and write one Parquet file a use; returns their row counts.

    Raises `EndpointError` or `AnnotationsError`, before anything is fetched, for a teacher that
    doesn't answer or training questions that aren't there; `QuarantineError` for too many bad
    clips.
    """
    check(config)
    gathered = {name: _GATHER[name](config) for name in config.sources}
    everything = [sample for rows in gathered.values() for sample in rows]
    refused = [
        bad
        for name, rows in gathered.items()
        if name != "synthetic"  # its clips are rendered where they belong
        for bad in link_clips(rows, config.downloads, config.out)
    ]
    report = config.out / "quarantine.json"
    report_quarantine(refused, everything, config.max_quarantined, report)
    usable = {name: without(rows, refused) for name, rows in gathered.items()}
    if config.teaching is not None:
        asked = [sample for sample in usable["camerabench"] if use_of(sample) == "rl"]
        usable["camerabench"] += teach(asked, config.teaching, config.out)
    uses = {use: _rows(use, usable, config) for use in USES}
    written = [sample for rows in uses.values() for sample in rows]
    result = audit(written, config.out)
    write_audit(config.out / "audit.json", result)
    for finding in result.findings:
        log.warning("audit: %s", finding)
    return {use: write_samples(config.out / f"{use}.parquet", rows) for use, rows in uses.items()}


def use_of(sample: Sample) -> str:
    """Held-out questions are for testing; of the others, those with a trace teach in SFT."""
    if sample.split == "test":
        return "test"
    return "rl" if sample.think is None else "sft"


def _rows(use: str, by_source: dict[SourceName, list[Sample]], config: BuildConfig) -> list[Sample]:
    rows = {name: [s for s in own if use_of(s) == use] for name, own in by_source.items()}
    return mix(rows, None if use == "test" else config.weights, config.seed)


def check(config: BuildConfig) -> None:
    """What is known to fail fails now, not after the downloads.

    Raises `AnnotationsError` for training questions that aren't there, `EndpointError` for a
    teacher or judge that doesn't answer.
    """
    if "camerabench" in config.sources:
        own = config.camerabench
        given = own and (own.rl_questions or own.train_annotations)
        if not given:
            raise AnnotationsError(
                "data.camerabench: no training questions; set rl_questions to CamReasoner's "
                "camerabench_rl.json, or train_annotations to the folder of training annotations "
                "that CameraBench gives out on request"
            )
        if not given.exists():
            raise AnnotationsError(f"data.camerabench: nothing at {given}")
    if config.teaching is not None:
        check_endpoints(config.teaching)


def _synthetic(config: BuildConfig) -> list[Sample]:
    assert config.synthetic is not None  # a rule of the recipe
    meter = _meter(config, "rendering clips")
    return list(build_synthetic(config.synthetic, config.out, config.workers, meter))


def _camerabench(config: BuildConfig) -> list[Sample]:
    assert config.camerabench is not None
    spec, root = config.camerabench, config.downloads
    meter = _meter(config, "fetching training clips")
    train = sources.camerabench_train(root, spec.train_annotations, spec.rl_questions, meter)
    test = sources.camerabench_test(root, spec.vqa, _meter(config, "fetching test clips"))
    return [*train, *test]


def _shotbench(config: BuildConfig) -> list[Sample]:
    return sources.shotbench_movement(config.downloads, _meter(config, "fetching ShotBench"))


_GATHER: dict[SourceName, Callable[[BuildConfig], list[Sample]]] = {
    "camerabench": _camerabench,
    "shotbench": _shotbench,
    "synthetic": _synthetic,
}


def _meter(config: BuildConfig, what: str) -> Meter:
    return Meter(config.out / "progress.jsonl", what)


def main(arguments: list[str]) -> None:
    """Read the config named on the command line and build."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = BuildConfig.model_validate_json(Path(arguments[0]).read_text())
    for use, count in build(config).items():
        log.info("%s.parquet: %s questions", use, f"{count:,}")


if __name__ == "__main__":
    main(sys.argv[1:])
