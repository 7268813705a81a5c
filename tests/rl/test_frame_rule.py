"""The rule `qwen` of the FrameSpec, against qwen-vl-utils' own."""

from fractions import Fraction

import pytest
from qwen_vl_utils.vision_process import smart_nframes

from data_builders.frame_rule import frame_indices
from data_builders.specs import FrameSpec


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(25, 2)])
@pytest.mark.parametrize("fps", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("milliseconds", [False, True])  # as Matroska keeps time
def test_a_clip_yields_as_many_frames_as_in_qwen_vl_utils(
    rate: Fraction, fps: float, milliseconds: bool
) -> None:
    spec = FrameSpec(
        fps=fps, min_frames=4, max_frames=64, min_pixels=784, max_pixels=784, rule="qwen"
    )
    asked = {"fps": fps, "min_frames": 4, "max_frames": 64}
    for total in range(4, 600):
        times = [number / rate for number in range(total)]
        if milliseconds:
            times = [Fraction(round(time * 1000), 1000) for time in times]
        ours = len(frame_indices(times, spec))
        assert ours == smart_nframes(asked, total, float(rate)), total
