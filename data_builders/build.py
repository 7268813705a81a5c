"""The data stage: `python -m data_builders.build <config.json>` writes clips and questions.

Leaves `sft.parquet` (questions with traces), `rl.parquet` (questions with answers only) and
`test.parquet` (held-out questions) beside the clips, with `audit.json` (what the questions give
away) and `quarantine.json` (what was left out, and why).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from data_builders import folder
from data_builders.audit import audit, write_audit
from data_builders.camerabench import AnnotationsError
from data_builders.gathering import GATHER, USES, BuildConfig, Questions, Use
from data_builders.mixing import mix
from data_builders.placing import link_clips, report_quarantine, without
from data_builders.progress import log_to_terminal
from data_builders.sample import Sample, write_samples
from data_builders.source_specs import SourceName
from data_builders.teaching import TeachingConfig, check_endpoints, teach
from reward_plugins.errors import CamReasonerError

log = logging.getLogger(__name__)

TAUGHT: tuple[SourceName, ...] = ("camerabench", "folder")
"""Sources for whose training questions a teacher writes traces."""


def build(config: BuildConfig) -> dict[str, int]:
    """Build every source and write one Parquet file a use; returns their row counts.

    Raises `EndpointError` or `AnnotationsError`, before anything is fetched, for a teacher that
    doesn't answer or training questions that aren't there; `QuarantineError` for too many bad
    clips.
    """
    check(config)
    gathered = {name: GATHER[name](config) for name in config.sources}
    usable = _placed(gathered, config)
    if config.teaching is not None:
        _teach(usable, config.teaching, config.out)
    uses = {use: _rows(use, usable, config) for use in USES}
    written = {(s.id, s.split): s for rows in uses.values() for s in rows}
    result = audit(written.values(), config.out)
    write_audit(config.out / "audit.json", result)
    for finding in result.findings:
        log.warning("audit: %s", finding)
    return {use: write_samples(config.out / f"{use}.parquet", rows) for use, rows in uses.items()}


def _placed(
    gathered: dict[SourceName, Questions], config: BuildConfig
) -> dict[SourceName, Questions]:
    """The questions whose clips could be put beside them; the others are reported."""
    everything: dict[tuple[str, str], Sample] = {}
    refused = []
    for name, questions in gathered.items():
        rows = [sample for own in questions.values() for sample in own]
        everything |= {(sample.id, sample.split): sample for sample in rows}
        if name == "folder":
            assert config.folder is not None
            refused += link_clips(rows, config.folder.clips, config.out, folder.PREFIX)
        elif name != "synthetic":  # its clips are rendered where they belong
            refused += link_clips(rows, config.downloads, config.out)
    report = config.out / "quarantine.json"
    report_quarantine(refused, [*everything.values()], config.max_quarantined, report)
    return {
        name: {use: without(rows, refused) for use, rows in questions.items()}
        for name, questions in gathered.items()
    }


def _teach(usable: dict[SourceName, Questions], config: TeachingConfig, out: Path) -> None:
    """Add to SFT what the teacher writes for training questions without a trace."""
    origin = {s.id: name for name in TAUGHT if name in usable for s in usable[name]["rl"]}
    asked = [s for name in TAUGHT if name in usable for s in usable[name]["rl"]]
    for trajectory in teach(asked, config, out):
        usable[origin[trajectory.id]]["sft"].append(trajectory)


def _rows(use: Use, by_source: dict[SourceName, Questions], config: BuildConfig) -> list[Sample]:
    rows = {name: questions[use] for name, questions in by_source.items()}
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
    if config.folder is not None:
        folder.questions(config.folder.questions)
        if not config.folder.clips.is_dir():
            raise AnnotationsError(f"data.folder.clips: no folder at {config.folder.clips}")
    if config.teaching is not None:
        check_endpoints(config.teaching)


def main(arguments: list[str]) -> int:
    """Read the config named on the command line and build; the exit status."""
    log_to_terminal()
    try:
        counts = build(BuildConfig.model_validate_json(Path(arguments[0]).read_text()))
    except (CamReasonerError, OSError) as error:
        log.error("%s", error)
        return 1
    for use, count in counts.items():
        log.info("%s.parquet: %s questions", use, f"{count:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
