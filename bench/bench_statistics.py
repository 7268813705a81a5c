"""False positives of a test between equals, where questions share clips: `python -m
bench.bench_statistics`.

Two checkpoints of the same skill answer; a clip is easy or hard for each by itself, so that its
questions are right or wrong together. A test at 5 % should find a difference in 5 % of the draws.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from bench.figures import figure, say
from orchestrator.evaluation.statistics import Scores, paired

DRAWS = 400
SHAPES = {"binary (8 a clip)": (969 // 8, 8), "VQA (13 a clip)": (1071 // 8, 13)}
"""An eighth of CameraBench's clips, and questions about each."""
LEVEL = 0.05
SKILL = 0.75


def verdicts(rng: np.random.Generator, clips: int, each: int, icc: float) -> Scores:
    """Right and wrong, `(clips * each,)`, with the intra-clip correlation `icc`."""
    spread = SKILL * (1 / icc - 1), (1 - SKILL) * (1 / icc - 1)
    ease = rng.beta(*spread, size=clips).repeat(each)
    return (rng.random(clips * each) < ease).astype(np.float64)


def mcnemar(first: Scores, second: Scores) -> float:
    """Exact, two-sided, over questions."""
    better, worse = int((second > first).sum()), int((second < first).sum())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def main() -> None:
    rng = np.random.default_rng(0)
    for shape, (clips, each) in SHAPES.items():
        clusters = list(np.arange(clips).repeat(each))
        for icc in (0.05, 0.1, 0.2):
            rates = np.zeros(2)
            for draw in range(DRAWS):
                first, second = (verdicts(rng, clips, each, icc) for _ in range(2))
                p = mcnemar(first, second), paired(first, second, clusters, draw).p
                rates += np.array(p) < LEVEL
            say(f"{shape}, intra-clip correlation {icc}")
            figure(f"McNemar over questions, {shape}, {icc}", 100 * rates[0] / DRAWS, "%")
            figure(f"sign flips over clips, {shape}, {icc}", 100 * rates[1] / DRAWS, "%")


if __name__ == "__main__":
    main()
