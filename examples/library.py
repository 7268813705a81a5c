"""The three packages from Python: frames and questions, rewards, plans.

python examples/library.py
"""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from data_builders import (
    FrameSpec,
    PromptSpec,
    SyntheticSpec,
    build_synthetic,
    materialise,
    user_text,
)
from orchestrator import load_recipe, make_plan
from reward_plugins import compute_score, parse

log = logging.getLogger(__name__)


def look_at_clips(root: Path) -> str:
    """Render two clips, read their frames as every trainer would, and ask about them."""
    spec = SyntheticSpec(motions=("pan_left", "zoom_in"), sft_clips=0, rl_clips=0, test_clips=2)
    samples = list(build_synthetic(spec, root / "clips"))
    rule = FrameSpec(fps=2.0, min_frames=4, max_frames=8, min_pixels=784, max_pixels=3136)
    index = materialise({s.clip for s in samples}, root / "clips", root / "cache", rule)
    frames, meta = index.load(samples[0].clip)
    log.info("%s frames at %g a second", frames.shape, meta.fps)
    return user_text(samples[0], PromptSpec())


def score_a_response(response: str) -> dict[str, float]:
    """What the paper's reward makes of a response whose right answer is A."""
    trace = parse(response)
    log.info("thinking: %s", trace.think if trace else "not in the format")
    return compute_score("binary", response, "A", {"options": ["Yes", "No"]}, format_weight=0.1)


def see_what_would_run(runs: Path) -> list[str]:
    """The stages of a recipe with a key changed; nothing runs."""
    recipe = load_recipe("tiny", ["rl.group_size=4"])
    return [stage.name for stage in make_plan(recipe, runs).stages]


if __name__ == "__main__":  # clips are rendered and decoded in processes, which import this file
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with TemporaryDirectory() as folder:
        log.info("%s", look_at_clips(Path(folder)))
        trace = "<observation>It slides.</observation><think>A pan.</think><answer>A</answer>"
        log.info("%s", score_a_response(trace))
        log.info("%s", see_what_would_run(Path(folder)))
