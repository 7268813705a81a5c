"""What could be answered without watching, is asked twice, or is known from training.

CameraBench's binary set is 87.7 % "No"; its released VQA set is answered in full by the word
"yes" or "no" in the question. An accuracy means little without these baselines next to it.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_builders.contamination import Contamination, contamination
from data_builders.sample import Sample
from data_builders.trajectory_filters import leak
from reward_plugins.files import write_file

WORTH_SAYING = 0.05
"""How far above chance (a share of questions) a baseline is worth a sentence."""
UNLIKELY = 0.001
"""A p-value below which letters are called unevenly spread."""


@dataclass(frozen=True)
class DatasetAudit:
    """What questions of one dataset and split give away; shares lie in [0, 1]."""

    questions: int
    clips: int
    letters: dict[str, int]
    """How often each letter is right."""
    answers: dict[str, int]
    """The ten most frequent right answers."""
    chance: float
    majority_letter: float
    """Always answering the most frequent letter."""
    letter_by_question: float
    """Answering the letter most often right for the same question text, this one left out."""
    most_frequent_option: float
    """Answering the option whose text is most often right, this question left out."""
    distinct: int
    """Questions that differ in clip or in what is asked, options in any order."""
    conflicting: int
    """Questions asked of the same clip more than once, with different answers."""
    position_p: float
    """Probability of letters as uneven as these if positions were drawn fairly (chi-square)."""
    traces: int
    """Questions with a trace to imitate."""
    betrayed: int
    """Traces which say that their writer was told the answer: nobody can see from those."""

    @property
    def text_only(self) -> float:
        """The best rule here that never looks at a clip."""
        return max(self.majority_letter, self.letter_by_question, self.most_frequent_option)


@dataclass(frozen=True)
class Audit:
    """Baselines of each dataset, overlap of training and test, and what to mind, in sentences."""

    datasets: dict[str, DatasetAudit]
    contamination: Contamination
    findings: tuple[str, ...]


def audit(samples: Iterable[Sample], clips: Path | None = None) -> Audit:
    """Audit `samples` of all splits; `clips`, the data root, lets equal clips be known by content.

    Questions without options, whose answers can't be guessed from them, count in the overlap only.
    Raises `FileNotFoundError` for a clip that isn't under `clips`.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    everything = list(samples)
    for sample in everything:
        if sample.options:
            groups[f"{sample.dataset}/{sample.split}"].append(sample)
    datasets = {name: audit_dataset(rows) for name, rows in sorted(groups.items())}
    overlap = contamination(everything, clips)
    said = [line for name, one in datasets.items() for line in _findings(name, one)]
    return Audit(datasets, overlap, (*said, *overlap.findings()))


def write_audit(path: Path, result: Audit) -> None:
    """Write `result` as JSON, atomically."""
    body = dataclasses.asdict(result)
    for name, one in result.datasets.items():
        body["datasets"][name]["text_only"] = one.text_only
    write_file(path, json.dumps(body, indent=2, ensure_ascii=False) + "\n")


def audit_dataset(samples: Sequence[Sample]) -> DatasetAudit:
    """Baselines and repetitions of `samples`, at least one, all of one dataset and split."""
    letters = Counter(s.truth for s in samples)
    asked: dict[Hashable, set[str]] = defaultdict(set)
    for sample in samples:
        asked[_meaning(sample)].add(sample.answer_text)
    return DatasetAudit(
        questions=len(samples),
        clips=len({s.clip for s in samples}),
        letters=dict(sorted(letters.items())),
        answers=dict(Counter(s.answer_text for s in samples).most_common(10)),
        chance=sum(1 / len(s.options) for s in samples) / len(samples),
        majority_letter=max(letters.values()) / len(samples),
        letter_by_question=_left_out(samples, lambda s: s.question, lambda s: s.letters),
        most_frequent_option=_left_out(samples, lambda s: "", lambda s: s.options),
        distinct=len(asked),
        conflicting=sum(len(truths) > 1 for truths in asked.values()),
        position_p=_position_p(samples),
        traces=sum(s.think is not None for s in samples),
        betrayed=sum(leak(f"{s.observation} {s.think}") is not None for s in samples),
    )


def _left_out(
    samples: Sequence[Sample],
    group: Callable[[Sample], str],
    choices: Callable[[Sample], tuple[str, ...]],
) -> float:
    """Accuracy of choosing what is most often right in a sample's group, itself not counted.

    A lead of one counts as a tie, shared evenly: leaving out one question of a balanced set
    makes its own answer the rarer one, which would turn an uninformative rule into a wrong one.
    """
    right: Counter[tuple[str, str]] = Counter()
    for sample in samples:
        right[group(sample), choices(sample)[sample.letters.index(sample.truth)]] += 1
    credit = 0.0
    for sample in samples:
        key, offered = group(sample), choices(sample)
        truth = offered[sample.letters.index(sample.truth)]
        counts = {c: right[key, c] - (c == truth) for c in offered}
        enough = max(counts.values()) - 1
        if counts[truth] >= enough:
            credit += 1 / sum(count >= enough for count in counts.values())
    return credit / len(samples)


def _meaning(sample: Sample) -> Hashable:
    """What is asked of which clip: the options in any order, and the question if they need one."""
    options = frozenset(option.casefold() for option in sample.options)
    return sample.clip, options, sample.question if options == {"yes", "no"} else None


def _position_p(samples: Sequence[Sample]) -> float:
    from scipy.stats import chisquare

    counts = Counter(s.letters.index(s.truth) for s in samples)
    expected: dict[int, float] = defaultdict(float)
    for sample in samples:
        for position in range(len(sample.options)):
            expected[position] += 1 / len(sample.options)
    positions = sorted(expected)
    if len(positions) < 2:
        return 1.0
    return float(chisquare([counts[p] for p in positions], [expected[p] for p in positions]).pvalue)


def _findings(name: str, one: DatasetAudit) -> list[str]:
    said = []
    if one.text_only > one.chance + WORTH_SAYING:
        said.append(
            f"{name}: {one.text_only:.1%} right without looking at a clip (chance "
            f"{one.chance:.1%}; one letter always {one.majority_letter:.1%}, by question "
            f"{one.letter_by_question:.1%}, by frequent answers {one.most_frequent_option:.1%})"
        )
    if one.distinct < one.questions:
        said.append(
            f"{name}: {one.questions:,} questions ask {one.distinct:,} different things; "
            f"{one.conflicting:,} of them have answers that disagree"
        )
    if one.position_p < UNLIKELY:
        said.append(f"{name}: right answers favour a position ({one.letters})")
    if one.betrayed:
        said.append(
            f"{name}: {one.betrayed:,} of {one.traces:,} traces say that their writer was told the "
            "answer"
        )
    return said
