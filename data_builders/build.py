"""The data stage: `python -m data_builders.build <config.json>` writes clips and questions.

Leaves `sft.parquet` (questions with traces), `rl.parquet` (questions with answers only) and
`test.parquet` (held-out questions) beside the clips, with `audit.json` (what the questions give
away) and `quarantine.json` (what was left out, and why).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from data_builders import folder
from data_builders.annotations import AnnotationsError
from data_builders.audit import audit, write_audit
from data_builders.gathering import (
    USES,
    BuildConfig,
    Gathered,
    by_use,
    check_ids,
    check_questions,
    gather,
)
from data_builders.mixing import mix
from data_builders.placing import link_clips, report_quarantine, without
from data_builders.progress import run_command
from data_builders.sample import Sample, write_samples
from data_builders.source_specs import SourceName
from data_builders.teaching import TeachingConfig, check_endpoints, teach

log = logging.getLogger(__name__)

UNTAUGHT: tuple[SourceName, ...] = ("synthetic", "shotqa")
"""Sources for whose training questions no teacher writes traces."""


def build(config: BuildConfig) -> dict[str, int]:
    """Build every source and write one Parquet file a question set; returns their row counts.

    Raises `EndpointError` or `AnnotationsError`, before anything is fetched, for a teacher that
    doesn't answer or questions that aren't there; `QuarantineError` for too many bad clips.
    """
    check(config)
    gathered = {name: gather(name, config) for name in config.sources}
    check_ids(gathered)
    usable = _placed(gathered, config)
    if config.teaching is not None:
        _teach(usable, config.teaching, config.out)
    names = dict.fromkeys((*USES, *(use for own in usable.values() for use in own)))
    uses = {use: _rows(use, usable, config) for use in names}
    written = {(s.id, s.split): s for rows in uses.values() for s in rows}
    result = audit(written.values(), config.out)
    write_audit(config.out / "audit.json", result)
    for finding in result.findings:
        log.warning("audit: %s", finding)
    return {use: write_samples(config.out / f"{use}.parquet", rows) for use, rows in uses.items()}


def _placed(
    gathered: dict[SourceName, Gathered], config: BuildConfig
) -> dict[SourceName, dict[str, list[Sample]]]:
    """The questions whose clips could be put beside them; the others are reported."""
    everything: dict[tuple[str, str], Sample] = {}
    refused = []
    for own in gathered.values():
        rows = [sample for samples in own.questions.values() for sample in samples]
        everything |= {(sample.id, sample.split): sample for sample in rows}
        if own.clips is not None:
            refused += link_clips(rows, own.clips, config.out, own.prefix)
    report = config.out / "quarantine.json"
    report_quarantine(refused, [*everything.values()], config.max_quarantined, report)
    return {
        name: {use: without(rows, refused) for use, rows in own.questions.items()}
        for name, own in gathered.items()
    }


def _teach(
    usable: dict[SourceName, dict[str, list[Sample]]], config: TeachingConfig, out: Path
) -> None:
    """Add to SFT what the teacher writes for training questions without a trace."""
    taught = {name: own.get("rl", []) for name, own in usable.items() if name not in UNTAUGHT}
    asked = [s for samples in taught.values() for s in samples if s.think is None]
    origin = {s.id: name for name, samples in taught.items() for s in samples}
    for trajectory in teach(asked, config, out):
        usable[origin[trajectory.id]].setdefault("sft", []).append(trajectory)


def _rows(
    use: str, by_source: dict[SourceName, dict[str, list[Sample]]], config: BuildConfig
) -> list[Sample]:
    rows = {name: questions.get(use, []) for name, questions in by_source.items()}
    return mix(rows, None if use == "test" else config.weights, config.seed)


def check(config: BuildConfig) -> None:
    """What is known to fail fails now, not after the downloads.

    Raises `AnnotationsError` for questions that aren't there or can't be asked, `EndpointError`
    for a teacher or judge that doesn't answer.
    """
    for key, path in _own_paths(config):
        if not path.exists():
            raise AnnotationsError(f"{key}: nothing at {path}")
    if config.folder is not None:
        samples = folder.questions(config.folder.questions)
        check_questions(by_use(samples, config.tags), config)
    if config.teaching is not None:
        check_endpoints(config.teaching)


def _own_paths(config: BuildConfig) -> Iterator[tuple[str, Path]]:
    """Files and folders of this machine that the recipe names, by their keys."""
    if config.camerabench is not None and config.camerabench.train_annotations is not None:
        yield "data.camerabench.train_annotations", config.camerabench.train_annotations
    if config.folder is not None:
        yield "data.folder.clips", config.folder.clips
    for name, spec in (config.files or {}).items():
        if isinstance(spec.clips, Path):
            yield f"data.files.{name}.clips", spec.clips
        for use, file in spec.sets.items():
            if isinstance(spec.rows, Path):
                yield f"data.files.{name}.sets.{use}", spec.rows / file


def main(arguments: list[str]) -> int:
    """Read the config named on the command line and build; the exit status."""
    config = BuildConfig.model_validate_json(Path(arguments[0]).read_text())

    def command() -> None:
        for use, count in build(config).items():
            log.info("%s.parquet: %s questions", use, f"{count:,}")

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
