"""The one rule of which frames of a clip are shown, how far apart and how large."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from data_builders.specs import FrameSpec
from reward_plugins.errors import CamReasonerError


class ClipError(CamReasonerError, ValueError):
    """A clip that can't be turned into frames; the message is the reason."""


def frame_indices(times: list[Fraction], spec: FrameSpec) -> list[int]:
    """Which frames of a clip shown at `times` (seconds, ascending) are taken.

    The frames nearest to instants spaced evenly from the first frame to the last. At a constant
    frame rate that is `linspace(0, len(times) - 1, n)`, rounded (qwen-vl-utils 0.0.14,
    vision_process.py:215); at a variable one the frames stay evenly spaced in time.
    """
    if len(times) < 2:
        raise ClipError(f"holds {len(times)} frame(s): motion needs two")
    shown = np.asarray([float(time - times[0]) for time in times])
    if shown[-1] <= 0:
        raise ClipError("all of its frames have the same time")
    duration = shown[-1] * len(times) / (len(times) - 1)
    instants = np.linspace(0.0, shown[-1], spec.count(duration, len(times)))
    after = np.searchsorted(shown, instants).clip(1, len(times) - 1)
    nearest = np.where(instants - shown[after - 1] < shown[after] - instants, after - 1, after)
    return [int(index) for index in nearest]


def effective_fps(times: list[Fraction], indices: list[int]) -> Fraction:
    """Frames a second among `indices`, the seconds of a pair of them to eight binary digits.

    vLLM keeps no more of the seconds where the policy is in bfloat16 (0.24, multimodal/processing/
    context.py:234), and a frame's time is a product of them cut to a whole: with more, the engines
    would differ. So a rate is off by 0.4 % at most, and a container's time base can hold it.
    """
    pair = 2 * (times[indices[-1]] - times[indices[0]]) / (len(indices) - 1)
    digits, exponent = math.frexp(pair)
    return 2 / (round(digits * 256) * Fraction(2) ** (exponent - 8))


def frame_size(height: int, width: int, spec: FrameSpec) -> tuple[int, int]:
    """Height and width a frame is scaled to.

    Both are multiples of `spec.multiple`, the aspect ratio is kept as nearly as that allows, and
    the area lies within the spec's bounds (Qwen's `smart_resize`), so that no trainer's processor
    scales again. Raises `ClipError` where there is no such size.
    """
    unit = spec.multiple
    high, wide = (max(unit, round(side / unit) * unit) for side in (height, width))
    if high * wide > spec.max_pixels:
        shrink = math.sqrt(height * width / spec.max_pixels)
        high, wide = (max(unit, int(side / shrink / unit) * unit) for side in (height, width))
    elif high * wide < spec.min_pixels:
        grow = math.sqrt(spec.min_pixels / (height * width))
        high, wide = (math.ceil(side * grow / unit) * unit for side in (height, width))
    if not spec.min_pixels <= high * wide <= spec.max_pixels:
        raise ClipError(
            f"no size near {width}x{height} in multiples of {unit} has between "
            f"{spec.min_pixels} and {spec.max_pixels} pixels; widen min_pixels and max_pixels"
        )
    return high, wide
