"""Graded accuracies in [0, 1] for answers that are no option's letter.

Total for whatever a policy may emit: what can't be read scores 0. The standard library, but for
`word_accuracy` (jiwer), `rouge` (rouge-score), `same_mathematics` (math-verify) and `points`
(scipy), which load them when they are first asked for.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
_DIGITS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_COUNTS = {word: float(n) for n, word in enumerate(_WORDS.split(), start=1)}
_COUNTS |= {word: 10.0 * n for n, word in enumerate(_TENS.split(), start=3)}
_COUNTS |= {"zero": 0.0, "a": 1.0, "an": 1.0}
_HARD = re.compile(r"(?:\^|\*\*|!).*(?:\^|\*\*|!)|(?:\^|\*\*)\W*\d{4}", re.DOTALL)
"""Towers of powers and factorials, which may not end."""
MOST_WORDS = 2000
"""Of a text; more are cut off, to bound the work."""
MOST_SIGNS = 200
"""Of a formula, likewise."""
MOST_POINTS = 100
"""Of a kind; more score 0."""
GRID = 10
"""Cells along a side of a map."""
Points = list[list[float]]


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


def first_number(text: str | None) -> float | None:
    """The smallest number word, an article being the last of them, or else the first digits.

    SpaceR's rule (SG-RLVR.py:58-82): words go before digits wherever they stand, so "3 beds and a
    sofa" is 1; a sign is none.
    """
    words = set(re.findall(r"\w+", (text or "").lower()))
    for word, value in _COUNTS.items():
        if word in words:
            return value
    found = _DIGITS.search(text or "")
    return float(found[0]) if found and len(found[0]) <= MOST_SIGNS else None


def same_number(given: float | None, truth: float, decimals: int | None = None) -> float:
    """Whether two numbers are equal, or round to the same at `decimals` places."""
    if given is None:
        return 0.0
    if decimals is None:
        return float(given == truth)
    return float(round(given, decimals) == round(truth, decimals))


def relative_error(given: float | None, truth: float) -> float:
    """`1 - |given - truth| / |truth|`, at least 0 (Video-R1, grpo.py:118-150)."""
    if given is None:
        return 0.0
    return max(0.0, 1 - abs(given - truth) / abs(truth)) if truth else float(given == 0)


def word_accuracy(given: str, truth: str) -> float:
    """`1 - word error rate`, at least 0."""
    from jiwer import wer

    said = " ".join(given.split()[:MOST_WORDS])
    return max(0.0, 1.0 - float(wer(" ".join(truth.split()[:MOST_WORDS]), said)))


def rouge(given: str, truth: str) -> float:
    """Mean F-measure of ROUGE-1, ROUGE-2 and ROUGE-L, words stemmed."""
    texts = (" ".join(text.split()[:MOST_WORDS]) for text in (truth, given))
    scores = _rouge_scorer().score(*texts).values()
    return float(sum(score.fmeasure for score in scores) / 3)


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


def same_mathematics(given: str, truth: str) -> float:
    """Whether two formulas are the same by math-verify, which also reads plain numbers."""
    parse, verify = _math_verify()
    if len(given) > MOST_SIGNS or _HARD.search(given):
        return 0.0
    one, other = (parse(f"${text}$", parsing_timeout=None) for text in (truth, given))
    return float(bool(verify(one, other, timeout_seconds=None)))


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


@cache
def _math_verify() -> tuple[Any, Any]:
    """Without its limits of time, which need signals to the main thread, and warnings of that."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return parse, verify


def track_iou(given: object, truth: dict[str, Any]) -> float:
    """Mean overlap over the true frames of boxes by frame; one that is missing counts 0."""
    boxes = given if isinstance(given, dict) else {}
    return sum(box_iou(boxes.get(frame), box) for frame, box in truth.items()) / len(truth)


def points(given: object, truth: Points, sigma: float = 50.0) -> float:
    """Mean of exp(-d² / 2 sigma²) over the best matching of as many points (OneThinker: three)."""
    from scipy.optimize import linear_sum_assignment

    said = given if isinstance(given, list) else []
    if len(said) != len(truth) or len(said) > MOST_POINTS or not all(numbers(p, 2) for p in said):
        return 0.0
    near = [[math.exp(-(math.dist(a, b) ** 2) / (2 * sigma**2)) for b in truth] for a in said]
    rows, columns = linear_sum_assignment(near, maximize=True)
    return float(sum(near[i][j] for i, j in zip(rows, columns, strict=True)) / len(truth))


def map_score(given: dict[str, Points], truth: dict[str, Points]) -> float:
    """How near the points of `given` are to those of `truth`, on a grid of 10 x 10.

    Nearest pairs of a kind are matched first and earn 1 - distance / diagonal; a kind's sum is
    divided by the larger number of points, and weighs as many as are true (SpaceR,
    extract_map.py:621-750).
    """
    weights = {kind: len(places) for kind, places in truth.items()}
    if not any(weights.values()):
        return float(not any(given.values()))
    total = sum(
        _places(given.get(kind, []), places) * len(places) for kind, places in truth.items()
    )
    return total / sum(weights.values())


def _places(given: Points, truth: Points) -> float:
    if not given or not truth or len(given) > MOST_POINTS:
        return 0.0
    pairs = sorted(
        (math.dist(a, b), i, j) for i, a in enumerate(given) for j, b in enumerate(truth)
    )
    left, right, total = set(range(len(given))), set(range(len(truth))), 0.0
    for distance, i, j in pairs:
        if i in left and j in right:
            left.remove(i)
            right.remove(j)
            total += max(0.0, 1 - distance / (GRID * math.sqrt(2)))
    return total / max(len(given), len(truth))


def read_map(text: object) -> dict[str, Points]:
    """A map's kinds in lower case and their points within the grid; none where it is no map."""
    found = read_json(text)
    kinds = found.items() if isinstance(found, dict) else ()
    return {
        kind.lower(): [
            p for p in places if (xy := numbers(p, 2)) and all(0 <= v <= GRID for v in xy)
        ]
        for kind, places in kinds
        if isinstance(places, list)
    }


def read_json(text: object) -> Any:
    """What JSON says, in a code fence or not; None where it is none."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(re.sub(r"^\s*```(?:json)?|```\s*$", "", text))
    except (ValueError, RecursionError):
        return None


def numbers(value: object, count: int) -> Sequence[float] | None:
    """`value` if it is a list of so many finite numbers."""
    if not isinstance(value, list) or len(value) != count:
        return None
    real = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)]
    return real if len(real) == count and all(abs(v) < 1e9 for v in real) else None


def _area(box: Sequence[float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
