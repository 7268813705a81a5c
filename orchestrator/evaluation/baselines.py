"""What needs no model: guessing, always one answer, and rules that read only the question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_builders.sample import Sample
from orchestrator.evaluation.groups import members

FOLDS = 10


class Majority(NamedTuple):
    """An answer, and what always giving it scores."""

    answer: str
    share: float


def by_group(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Every baseline of every group.

    The text-only rules are learnt once, from all questions: a group's name may tell the answer,
    and no policy is told it.
    """
    hits = text_only_hits(samples)
    found = {}
    for name, positions in members(samples).items():
        rows = [samples[i] for i in positions]
        constant = majority(rows)
        found[name] = {
            "n": len(rows),
            "clips": len({sample.clip for sample in rows}),
            "distinct": len({(s.clip, s.category, frozenset(s.options)) for s in rows}),
            "chance": chance(rows),
            "majority": constant.share,
            "majority_answer": constant.answer,
            "text_only": float(hits[:, positions].mean(axis=1).max()),
        }
    return found


def chance(samples: Sequence[Sample]) -> float:
    """Expected accuracy of a uniform guess among the options; nobody guesses without any."""
    return float(np.mean([1 / len(s.options) if s.options else 0.0 for s in samples]))


def majority(samples: Sequence[Sample]) -> Majority:
    """The best constant answer: always one text, or always one letter."""
    letters = Counter(sample.truth for sample in samples).most_common(1)
    texts = Counter(sample.answer_text for sample in samples).most_common(1)
    answer, count = max(texts + letters, key=lambda found: found[1])
    return Majority(answer, count / len(samples))


def text_only(samples: Sequence[Sample]) -> float:
    """Accuracy without looking: the better rule of `text_only_hits`."""
    return float(text_only_hits(samples).mean(axis=1).max())


def text_only_hits(samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """What each of two rules gets right without looking, `(2, n)`, cross-validated over clips.

    Each is learnt on nine tenths of the clips: the option's letter, or its text, that was most
    often right for the same question text (one never seen: for any question).
    """
    clips = {clip: n % FOLDS for n, clip in enumerate(sorted({s.clip for s in samples}))}
    folds = [clips[sample.clip] for sample in samples]
    return np.array([_guessed(samples, folds, by_text) for by_text in (False, True)])


def _guessed(samples: Sequence[Sample], folds: Sequence[int], by_text: bool) -> list[bool]:
    """Whether each item's right option was, outside its fold, the most often right one."""
    counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for sample, fold in zip(samples, folds, strict=True):
        right = sample.answer_text if by_text else sample.truth
        for question in (sample.question, ""):  # "" gathers all questions
            counts[question, fold][right] += 1
            counts[question, -1][right] += 1
    hits, answers = [], sorted({sample.truth for sample in samples if not sample.options})
    for sample, fold in zip(samples, folds, strict=True):
        options = (sample.options if by_text else sample.letters) or answers
        seen = [
            tuple(counts[q, -1][option] - counts[q, fold][option] for q in (sample.question, ""))
            for option in options
        ]
        hits.append((sample.letters or answers)[seen.index(max(seen))] == sample.truth)
    return hits
