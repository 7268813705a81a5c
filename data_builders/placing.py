"""Put the clips of downloaded questions beside the samples, and set aside questions without one."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from data_builders.frames import Quarantined, QuarantineError
from data_builders.sample import Sample, shown_by
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import replacement, write_file

NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)
"""Another disk, a file system without hard links, a file with too many."""

log = logging.getLogger(__name__)


class PlacingError(CamReasonerError, OSError):
    """A clip that can't be put beside the samples."""


def link_clips(
    samples: Iterable[Sample], downloads: Path, out: Path, prefix: str = ""
) -> list[Quarantined]:
    """Hard-link each clip of `samples` from `downloads` to `out`; return those that aren't there.

    Clips lie in `downloads` without `prefix`. Links cost no space, and the frame cache refuses
    symbolic ones; where the two folders are on different disks, clips are copied. Raises
    `PlacingError` where neither can be done.
    """
    refused = []
    asking = {item.path: name for item, name in shown_by(samples).items()}
    for path in sorted(asking):
        source = downloads / path.removeprefix(prefix)
        if reason := _unusable(source, downloads):
            refused.append(Quarantined(path, f"{reason} (sample {asking[path]!r})"))
        else:
            _link(source, out / path)
    return refused


def without(samples: Sequence[Sample], refused: Iterable[Quarantined]) -> list[Sample]:
    """`samples` but those that show what was refused, by its path or its name."""
    lost = {clip for clip, _ in refused}
    return [s for s in samples if not any(i.path in lost or i.name in lost for i in s.media)]


def report_quarantine(
    refused: Sequence[Quarantined], samples: Sequence[Sample], most: float, path: Path
) -> None:
    """Write to `path` which clips are left out and why, and how many questions that costs.

    `QuarantineError` lists them when they are more than a share of `most` of the clips.
    """
    lost = len(samples) - len(without(samples, refused))
    report = {"clips": dict(refused), "questions": lost}
    write_file(path, json.dumps(report, indent=2) + "\n")
    if not refused:
        return
    total = len({item.path for item in shown_by(samples)})
    said = f"{len(refused):,} of {total:,} clips are unusable, which leaves out {lost:,} questions"
    if len(refused) > most * total:
        listed = "".join(f"\n  {clip}: {reason}" for clip, reason in refused[:50])
        raise QuarantineError(
            f"{said}; data.max_quarantined = {most:g} allows fewer: mend or remove them ({path})"
            f"{listed}"
        )
    log.warning("%s; the reasons are in %s", said, path)


def _unusable(source: Path, downloads: Path) -> str | None:
    if not source.resolve().is_relative_to(downloads.resolve()):
        return f"leads out of {downloads}"
    if not source.is_file():
        return "is not a file" if source.exists() else f"is missing from {downloads}"
    return None if source.stat().st_size else "is empty (zero bytes)"


def _link(source: Path, target: Path) -> None:
    try:
        with replacement(target) as partial:
            try:
                os.link(source.resolve(), partial)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                shutil.copyfile(source, partial)
    except OSError as error:
        raise PlacingError(f"can't put {source} at {target}: {error}") from error
