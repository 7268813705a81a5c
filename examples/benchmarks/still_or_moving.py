"""A benchmark of your own: does the policy see that a camera rolls, or only that things turn?

One file, and one line of the recipe, after which every table has its rows:

    eval.benchmarks: [held_out, examples/benchmarks/still_or_moving.py:still_or_moving]

The function puts clips below the folder it is given, and returns samples whose clips are relative
to that folder. Clips that exist elsewhere are copied there, or linked with `os.link`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_builders import Sample, SyntheticSpec, build_synthetic

SPEC = SyntheticSpec(
    motions=("static", "roll_clockwise", "roll_counterclockwise"),
    sft_clips=0,
    rl_clips=0,
    test_clips=12,
    tasks=("binary",),
    moving_objects=0.5,
    seed=2024,
)


def still_or_moving(folder: Path) -> Iterator[Sample]:
    """One question about each clip; its category is the camera's true motion."""
    for number, rendered in enumerate(build_synthetic(SPEC, folder)):
        still = rendered.category == "static"
        yield rendered.model_copy(
            update={
                "id": f"still_or_moving/{number}",
                "dataset": "still_or_moving",
                "question": "Does the camera itself move?",
                "options": ("Yes", "No"),
                "answer": "B" if still else "A",
            }
        )
