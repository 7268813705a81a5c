"""Graded accuracies in [0, 1] for answers that are no option's letter.

Standard library only, total for whatever a policy may emit: what can't be read scores 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
MOST_WORDS = 2000
"""Of a transcription; more are cut off, to bound the work."""


def number(text: str | None) -> float | None:
    """The finite number that `text` is, thousands separators allowed; None for anything else."""
    text = (text or "").strip()
    if not any(c.isdigit() for c in text) or not _NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", ""))
    return value if math.isfinite(value) else None


_THETAS = [*(0.5 + step * ((0.95 - 0.5) / 9) for step in range(9)), 0.95]
"""The evaluator's own: `np.linspace(0.5, 0.95, 10)`, to the bit, which decides at the edges."""


def mean_relative_accuracy(given: float | None, truth: float, *, strict: bool = False) -> float:
    """Share of the thresholds θ = 0.50, 0.55, ... 0.95 that the relative error allows.

    Two rules are published, and differ on whole numbers: truth 4 and 3 given is 0.6 or 0.5. An
    error of at most 1 - θ counts in VSI-Bench's evaluator, SpatialLadder and SpaceR; with `strict`
    only one below it, as in OneThinker, Video-R1's evaluation and VSI-Bench's text (arXiv
    2412.14171, section 3.1). A truth of 0 allows no error.
    """
    if given is None:
        return 0.0
    if truth == 0:
        return float(given == 0)
    error = abs(given - truth) / abs(truth)
    if strict:
        return sum(error < 1 - (50 + 5 * step) / 100 for step in range(10)) / 10
    return sum(error <= 1 - theta for theta in _THETAS) / 10


def word_accuracy(given: str, truth: str) -> float:
    """`1 - word error rate` (edits of `truth`'s words into `given`'s, by `truth`'s number)."""
    wanted, said = truth.split()[:MOST_WORDS], given.split()[:MOST_WORDS]
    row = list(range(len(said) + 1))
    for i, word in enumerate(wanted, start=1):
        before, row = row, [i]
        for j, other in enumerate(said, start=1):
            step = before[j - 1] + (word != other)
            row.append(min(step, before[j] + 1, row[-1] + 1))
    return max(0.0, 1.0 - row[-1] / max(1, len(wanted)))


def interval_iou(given: object, truth: object) -> float:
    """Overlap of two `[start, end]` by their union; 0 where either is none."""
    a, b = numbers(given, 2), numbers(truth, 2)
    if a is None or b is None or a[0] > a[1] or b[0] > b[1]:
        return 0.0
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


def box_iou(given: object, truth: object) -> float:
    """Overlap of two `[x1, y1, x2, y2]` by their union; 0 where either is none."""
    a, b = numbers(given, 4), numbers(truth, 4)
    if a is None or b is None:
        return 0.0
    sides = [max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    inter = sides[0] * sides[1]
    union = _area(a) + _area(b) - inter
    return inter / union if union > 0 else 0.0


def numbers(value: object, count: int) -> Sequence[float] | None:
    """`value` if it is a list of so many finite numbers."""
    if not isinstance(value, list) or len(value) != count:
        return None
    real = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)]
    return real if len(real) == count and all(abs(v) < 1e9 for v in real) else None


def _area(box: Sequence[float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
