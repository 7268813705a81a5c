"""Training questions that show, or ask, what the test set does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_builders.sample import Sample, shown_by

Asked = tuple[tuple[str, ...], str, frozenset[str]]
"""What is shown, asked and offered."""


@dataclass(frozen=True)
class Overlap:
    """What one training dataset shares with all test datasets."""

    questions: int
    on_test_clips: int
    """Questions whose clip is a test clip, by file name or by content."""
    clips_by_name: int
    """Clips with the file name of a test clip of the same source (first folder)."""
    clips_by_content: int | None
    """Clips with a test clip's bytes; None where clips were not read."""
    same_question: int
    """Questions that the test set asks of the same clip, options in any order."""


@dataclass(frozen=True)
class Contamination:
    """Overlap with the test split, by training dataset."""

    test_questions: int
    overlaps: dict[str, Overlap]

    def findings(self) -> list[str]:
        """A sentence for each training dataset that shows test clips."""
        return [
            f"{name}: {_how_many(one)} questions show clips of the test split "
            f"({one.same_question:,} are its very questions): leave them out of training"
            for name, one in self.overlaps.items()
            if one.on_test_clips
        ]


def contamination(samples: Sequence[Sample], clips: Path | None = None) -> Contamination:
    """Compare the training samples with the test samples; `clips` is the data root, if readable.

    Raises `FileNotFoundError` for a clip that isn't under `clips`.
    """
    test = [s for s in samples if s.split == "test"]
    digests = {} if clips is None else clip_digests(_paths(samples), clips)
    names = set(map(_name, _paths(test)))
    contents = {digests[path] for path in _paths(test)} if digests else set()
    asked = {_question(s) for s in test}
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.split == "train":
            groups.setdefault(f"{sample.dataset}/train", []).append(sample)
    overlaps = {
        group: _overlap(rows, names, contents, asked, digests) for group, rows in groups.items()
    }
    return Contamination(len(test), overlaps)


def clip_digests(clips: Iterable[str], root: Path) -> dict[str, str]:
    """SHA-256 of each clip's bytes."""
    found = {}
    for clip in sorted(clips):
        with (root / clip).open("rb") as file:
            found[clip] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _overlap(
    rows: list[Sample],
    names: set[str],
    contents: set[str],
    asked: set[Asked],
    digests: Mapping[str, str],
) -> Overlap:
    clips = _paths(rows)
    by_name = {clip for clip in clips if _name(clip) in names}
    by_content = {clip for clip in clips if digests.get(clip) in contents}
    shown = by_name | by_content
    return Overlap(
        questions=len(rows),
        on_test_clips=sum(any(item.path in shown for item in s.media) for s in rows),
        clips_by_name=len(by_name),
        clips_by_content=len(by_content) if digests else None,
        same_question=sum(_question(s) in asked for s in rows),
    )


def _question(sample: Sample) -> Asked:
    names = tuple(_name(item.path) for item in sample.media)
    return names, sample.question, frozenset(sample.options)


def _paths(samples: Iterable[Sample]) -> set[str]:
    return {item.path for item in shown_by(samples)}


def _name(clip: str) -> str:
    """What a clip is known by within its source, the first folder, whatever the split's folder."""
    return f"{clip.partition('/')[0]}/{clip.rpartition('/')[2]}"


def _how_many(one: Overlap) -> str:
    everything = one.on_test_clips == one.questions
    return f"all {one.questions:,}" if everything else f"{one.on_test_clips:,} of {one.questions:,}"
