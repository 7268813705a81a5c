"""What the frame cache will take on the disk.

A clip takes 3 bytes x height x width x frames for `frames.rgb`, and LOSSLESS of that for
`clip.mp4`, and for the images where a stage is shown these. A usual clip at 1 fps and 262,144
pixels takes 6.4 MB, one of 64 frames 68 MB.
"""

from __future__ import annotations

from typing import NamedTuple

from data_builders.specs import FrameSpec
from orchestrator.doctor.estimate import rl_questions, sft_samples, view
from orchestrator.recipe import Recipe

LOSSLESS = 0.35
"""Of the raw bytes, about; 0.5 where the picture is noisy."""


class Share(NamedTuple):
    """What one stage's frames take, in bytes; stages with one spec may share clips."""

    stage: str
    usual: float
    """A usual clip."""
    most: float
    """The longest and largest."""
    clips: int
    """At most: one a question."""


def shares(recipe: Recipe) -> list[Share]:
    """Of SFT and RL; evaluation adds its own clips, where they are not those of training."""
    sft, rl = recipe.sft.frames or recipe.frames, recipe.rl.frames or recipe.frames
    taught = min(sft_samples(recipe), recipe.sft.max_samples or 10**9)
    return [_share(recipe, "sft", sft, taught), _share(recipe, "rl", rl, rl_questions(recipe))]


def _share(recipe: Recipe, stage: str, spec: FrameSpec, clips: int) -> Share:
    seen = view(recipe, stage, spec)
    usual = clip_bytes(spec, seen.frames, seen.pixels)
    return Share(stage, usual, clip_bytes(spec, spec.max_frames, spec.max_pixels), clips)


def clip_bytes(spec: FrameSpec, frames: int, pixels: int) -> float:
    """What a clip of so many `frames` of so many `pixels` takes."""
    copies = 1 + LOSSLESS * (2 if spec.media == "images" else 1)
    return 3 * pixels * frames * copies


def cache_bytes(recipe: Recipe) -> float:
    """At most: every question with a clip of its own, and none of two stages the same."""
    return sum(share.usual * share.clips for share in shares(recipe))


def sizes(recipe: Recipe) -> str:
    """The cache in words: a clip, and all of them."""
    each = (
        f"{share.stage} {share.usual / 1e6:.2g} MB a usual clip ({share.most / 1e6:.2g} at most)"
        for share in shares(recipe)
    )
    total = f"{cache_bytes(recipe) / 1e9:,.1f} GB if each question has a clip of its own"
    return f"frame cache: {', '.join(each)}; {total}"
