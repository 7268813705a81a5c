from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders.specs import MOTIONS, MotionName
from data_builders.synthetic.camera import CameraPath, camera_path, motions_of
from data_builders.synthetic.scene import TEXELS, Board, Room, make_textures, render

SPEED = (0.018, 0.045)


@given(motion=st.sampled_from(MOTIONS), frames=st.integers(2, 20), seed=st.integers(0, 2**32 - 1))
def test_a_path_makes_the_motion_it_was_asked_for(
    motion: MotionName, frames: int, seed: int
) -> None:
    path = camera_path(motion, frames, SPEED, np.random.default_rng(seed))
    assert motions_of(path) == (motion,)
    assert path.rotations().shape == (frames, 3, 3)
    assert path.position.shape == (frames, 3)


def test_a_compound_path_makes_several_motions() -> None:
    pan = camera_path("pan_left", 4, SPEED, np.random.default_rng(0))
    both = CameraPath(pan.yaw, pan.pitch + np.arange(4), pan.roll, pan.position, pan.focal)
    assert motions_of(both) == ("pan_left", "tilt_up")


@pytest.mark.parametrize(
    ("motion", "shift"),
    [
        ("static", (0, 0)),
        ("pan_left", (0, 1)),
        ("pan_right", (0, -1)),
        ("tilt_up", (1, 0)),
        ("tilt_down", (-1, 0)),
        ("truck_left", (0, 1)),
        ("truck_right", (0, -1)),
        ("pedestal_up", (1, 0)),
        ("pedestal_down", (-1, 0)),
    ],
)
def test_the_image_moves_against_the_camera(motion: MotionName, shift: tuple[int, int]) -> None:
    """A bright board in an otherwise dark room: where its centre of mass goes (rows, columns)."""
    start, end = _centres(motion, np.random.default_rng(3))
    assert tuple(np.sign(np.round(end - start)).astype(int)) == shift


@pytest.mark.parametrize(
    ("motion", "grows"), [("zoom_in", 1), ("zoom_out", -1), ("dolly_in", 1), ("dolly_out", -1)]
)
def test_zoom_and_dolly_change_the_size_of_things(motion: MotionName, grows: int) -> None:
    bright = _frames(motion, np.random.default_rng(3)).sum(axis=(1, 2, 3)).astype(float)
    assert np.sign(bright[-1] - bright[0]) == grows


@pytest.mark.parametrize(("motion", "turn"), [("roll_clockwise", -1), ("roll_counterclockwise", 1)])
def test_the_image_turns_against_a_roll(motion: MotionName, turn: int) -> None:
    """A board to the right moves up (its row falls) when the camera rolls clockwise."""
    path = camera_path(motion, 8, SPEED, np.random.default_rng(3))
    level = CameraPath(path.yaw * 0, path.pitch * 0, path.roll, path.position * 0, path.focal)
    frames = _render(level, (1.0, 0.0))
    start, end = (_centre(frames[i]) for i in (0, -1))
    assert np.sign(np.round(end - start))[0] == turn


def _centres(motion: MotionName, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    frames = _frames(motion, rng)
    return _centre(frames[0]), _centre(frames[-1])


def _frames(motion: MotionName, rng: np.random.Generator) -> np.ndarray:
    path = camera_path(motion, 8, SPEED, rng)
    ahead = path.position.mean(0) + path.rotations()[len(path.yaw) // 2] @ [0, 0, 3]
    return _render(path, (ahead[0], ahead[1]))


def _render(path: CameraPath, centre: tuple[float, float]) -> np.ndarray:
    dark, bright = (
        np.zeros((TEXELS, TEXELS, 4), np.uint8),
        np.full((TEXELS, TEXELS, 4), 255, np.uint8),
    )
    textures = np.stack([dark, bright]).view(np.uint32)[..., 0]
    board = Board(3.0, centre, (0.4, 0.4), 0.5)
    room = Room((6.0, 6.0, 8.0), (board,), 0.2, np.array([0] * 6 + [1]))
    return render(room, path, textures, 84, 84)


def _centre(frame: np.ndarray) -> np.ndarray:
    weight = frame.astype(float).sum(-1)
    rows, columns = np.indices(weight.shape)
    return np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()


def test_textures_are_opaque_and_repeat_with_the_seed() -> None:
    first, again, other = (make_textures(2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (2, TEXELS, TEXELS)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.view(np.uint8).reshape(-1, 4)[:, 3] == 255).all()
