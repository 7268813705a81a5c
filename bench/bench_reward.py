"""Time the reward: `python -m bench.bench_reward`.

What is compared of the released function is its tag normalisation and its two patterns, and, where
mathruler is installed (envs/easyr1), also those with its letter matching: the whole function but
for its printing. Times are processor seconds, so that other work on the machine does not count.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from bench.figures import figure, say
from reward_plugins.reward import compute_score

RESPONSES = 38_451
"""Questions of the RL set (paper section 4.1), each with a response of about 200 tokens."""
_LAZY_FORMAT = re.compile(
    r"\A\s*<observation>.*?</observation>\s*<think>.*?</think>\s*<answer>.*?</answer>\s*\Z",
    re.DOTALL,
)
_LAZY_ANSWER = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.DOTALL)
_AROUND_MARKS = re.compile(r"\s*(<|>|/)\s*")
_WORDS = ["the", "camera", "wall", "slides", "left", "right", "while", "still", "so", "it", "pans"]
_INFO = {"options": '["pan left", "pan right", "tilt up", "static"]', "sample_id": "bench"}


def released_patterns(response: str, grade: Callable[[str, str], bool] = str.__eq__) -> float:
    """The released reward with `grade` for its letter matching; alone, its patterns only."""
    tight = _AROUND_MARKS.sub(r"\1", response)
    found = _LAZY_ANSWER.search(tight)
    correct = grade(found[1] if found else tight.strip(), "A")
    return 0.9 * correct + 0.1 * bool(_LAZY_FORMAT.fullmatch(tight))


def released() -> dict[str, Callable[[str], object]]:
    """The released reward, without and where possible with mathruler, by name."""
    if find_spec("mathruler") is None:
        return {"released patterns": released_patterns}
    from mathruler.grader import grade_answer

    whole = partial(released_patterns, grade=grade_answer)
    return {"released patterns": released_patterns, "released function": whole}


def sane_responses(n: int) -> list[str]:
    """`n` well-formed responses of about 200 tokens (180 words), each different."""
    rng = random.Random(0)
    trace = "<observation>{}</observation>\n<think>{}</think>\n<answer>{}</answer>"
    blocks = ((rng.choices(_WORDS, k=90), rng.choices(_WORDS, k=90)) for _ in range(n))
    return [trace.format(" ".join(o), " ".join(t), rng.choice("ABCD")) for o, t in blocks]


def repeated_tags(size: int) -> str:
    """A response of `size` characters that makes the lazy format pattern try every split."""
    unit = "<observation></observation><think></think><answer></answer>"
    return (unit * (size // len(unit) + 1))[: size - 1] + "x"


def seconds(score: Callable[[str], object], responses: list[str], repeats: int = 3) -> float:
    """The best of `repeats` times of scoring every response."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for response in responses:
            score(response)
        times.append(time.process_time() - start)
    return min(times)


def rewards() -> dict[str, Callable[[str], object]]:
    """Each way of scoring a response, by name."""
    loose: dict[str, Any] = {"matching": "as_released", "gate_accuracy_on_format": False}

    def score(text: str, **settings: Any) -> object:
        return compute_score("binary", text, "A", _INFO, **settings)

    return {"strict": score, "as_released": partial(score, **loose)}


def main() -> None:
    sane = sane_responses(RESPONSES)
    say(f"{RESPONSES} responses of {sum(map(len, sane)) // len(sane)} characters on average")
    rates = {name: 400 / seconds(score, sane[:400]) for name, score in released().items()}
    for name, rate in rates.items():
        figure(f"reward {name}", rate, "/s")
    for name, score in rewards().items():
        rate = RESPONSES / seconds(score, sane)
        figure(f"reward {name}", rate, "/s")
        for other, base in rates.items():
            figure(f"reward {name} over {other}", rate / base, "x")
    say("18,000 characters of repeated tags")
    degenerate = repeated_tags(18_000)
    for name, score in rewards().items():
        figure(f"reward {name}, degenerate", seconds(score, [degenerate], 20) * 1e3, "ms")
    released_ms = seconds(released_patterns, [degenerate], 1) * 1e3
    figure("reward released patterns, degenerate", released_ms, "ms")
    say("repeated tags of growing length: nanoseconds a character")
    for size in (1_000, 10_000, 100_000, 1_000_000):
        text = repeated_tags(size)
        for name, score in rewards().items():
            figure(f"reward {name}, {size:,} chars", seconds(score, [text], 10) / size * 1e9, "ns")


if __name__ == "__main__":
    main()
