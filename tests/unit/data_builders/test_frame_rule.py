"""Which frames of a clip are shown, how far apart and how large."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_builders.frame_rule import ClipError, effective_fps, frame_indices, frame_size
from data_builders.specs import FrameSpec
from tests.givens import SPEC


@given(
    duration=st.floats(0.1, 1000),
    available=st.integers(2, 2000),
    low=st.sampled_from([2, 4, 8]),
    high=st.sampled_from([8, 16, 64]),
    fps=st.floats(0.1, 30),
)
def test_the_frame_count_is_even_and_within_bounds(
    duration: float, available: int, low: int, high: int, fps: float
) -> None:
    spec = SPEC.model_copy(update={"fps": fps, "min_frames": low, "max_frames": high})
    count = spec.count(duration, available)
    assert count % 2 == 0
    assert min(low, available - available % 2) <= count <= min(high, available)


@pytest.mark.parametrize(
    ("rule", "seconds", "expected"),
    [("ours", 7.6, 8), ("qwen", 7.6, 6), ("ours", 7.4, 6), ("qwen", 7.9999, 8), ("qwen", 0.1, 4)],
)
def test_a_rule_says_how_seconds_become_frames(rule: str, seconds: float, expected: int) -> None:
    spec = SPEC.model_copy(update={"fps": 1.0, "min_frames": 4, "rule": rule})
    assert spec.count(seconds, 300) == expected


@pytest.mark.parametrize(
    "odd", [{"fps": math.inf}, {"fps": math.nan}, {"fps": 0}, {"min_frames": 5}, {"max_pixels": 0}]
)
def test_odd_numbers_are_refused(odd: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(odd))):
        FrameSpec.model_validate({**SPEC.model_dump(), **odd})


def test_a_rate_beyond_all_measure_takes_what_there_is() -> None:
    assert SPEC.model_copy(update={"fps": 1e308}).count(1e10, 7) == 6


@pytest.mark.parametrize(
    ("seconds", "source_fps", "expected"),
    [
        (4, 2, [0, 1, 2, 3, 4, 5, 6, 7]),
        (3, 8, [0, 5, 9, 14, 18, 23]),
        (60, 1, [0, 8, 17, 25, 34, 42, 51, 59]),
    ],
)
def test_indices_span_the_whole_clip(seconds: int, source_fps: int, expected: list[int]) -> None:
    times = [Fraction(number, source_fps) for number in range(seconds * source_fps)]
    assert frame_indices(times, SPEC) == expected


@given(
    count=st.integers(2, 400),
    rate=st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(2)]),
)
def test_at_a_constant_rate_the_indices_are_linspace(count: int, rate: Fraction) -> None:
    times = [number / rate for number in range(count)]
    indices = frame_indices(times, SPEC)
    exact = np.linspace(0, count - 1, len(indices))
    assert indices[0] == 0 and indices[-1] == count - 1
    assert np.abs(exact - indices).max() <= 0.5 + 1e-9
    assert sorted(set(indices)) == indices


def test_at_a_variable_rate_frames_are_evenly_spaced_in_time() -> None:
    burst = [Fraction(n, 100) for n in range(100)]
    slow = [1 + Fraction(n) for n in range(4)]
    chosen = frame_indices(burst + slow, SPEC)
    times = [float((burst + slow)[index]) for index in chosen]
    assert max(np.diff(times)) <= 1.0 and sum(index < 100 for index in chosen) <= 3


def test_effective_fps_comes_from_the_chosen_frames() -> None:
    times = [Fraction(number, 24) for number in range(240)]
    indices = frame_indices(times, SPEC)
    found = effective_fps(times, indices)
    assert float(found) == pytest.approx(7 * 24 / 239, rel=2**-8)
    assert (2 / found).numerator < 256  # what a policy in bfloat16 knows of the seconds of a pair
    every = [Fraction(number, 2) for number in range(8)]
    assert effective_fps(every, frame_indices(every, SPEC)) == 2


@given(height=st.integers(32, 4000), width=st.integers(32, 4000))
def test_sizes_are_multiples_within_the_pixel_bounds(height: int, width: int) -> None:
    spec = SPEC.model_copy(update={"min_pixels": 128 * 784, "max_pixels": 768 * 784})
    try:
        high, wide = frame_size(height, width, spec)
    except ClipError:
        assert max(height, width) / min(height, width) > 20
        return
    assert high % 28 == wide % 28 == 0
    assert spec.min_pixels <= high * wide <= spec.max_pixels
    if max(height, width) / min(height, width) < 3:
        assert 0.75 < (high / wide) / (height / width) < 1.34


def test_a_chosen_size_is_kept_by_a_second_scaling() -> None:
    spec = SPEC.model_copy(update={"min_pixels": 100_352, "max_pixels": 262_144})
    first = frame_size(1080, 1920, spec)
    assert frame_size(*first, spec) == first


def test_a_size_that_cannot_be_is_refused() -> None:
    spec = SPEC.model_copy(update={"min_pixels": 785, "max_pixels": 790})
    with pytest.raises(ClipError, match="no size near 56x56 in multiples of 28"):
        frame_size(56, 56, spec)
