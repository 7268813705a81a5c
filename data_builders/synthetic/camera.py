"""Camera paths of one motion primitive or two, and the primitives read back from a path.

World axes are x right, y down, z forward. At yaw = pitch = roll = 0 the camera looks along +z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_builders.specs import MotionName

Array = NDArray[np.floating[Any]]

_AXES = {
    "truck": np.array([1.0, 0.0, 0.0]),
    "pedestal": np.array([0.0, 1.0, 0.0]),
    "dolly": np.array([0.0, 0.0, 1.0]),
}
KINDS = ("static", "pan", "tilt", "roll", "zoom", "truck", "pedestal", "dolly")
"""What a camera can do, in the order in which the motions of one shot are named."""
_FORWARD = {"right", "up", "clockwise", "in"}
"""Directions in which the parameter of a motion grows (a pedestal up moves towards -y)."""

# How far the image must move to change a frame by one "speed": a rotation by s/f, a roll about
# the centre and a zoom by s over half the width, a translation by s/f times a typical depth.
_EDGE = 0.45
_DEPTH = 2.8


@dataclass(frozen=True)
class CameraPath:
    """Pose and lens of each of T frames."""

    yaw: Array
    """(T,) radians, positive to the right."""
    pitch: Array
    """(T,) radians, positive upward."""
    roll: Array
    """(T,) radians, positive clockwise."""
    position: Array
    """(T, 3) metres."""
    focal: Array
    """(T,) focal length in frame widths."""

    def rotations(self) -> Array:
        """(T, 3, 3): camera coordinates to world coordinates."""
        angles = zip(self.yaw, self.pitch, self.roll, strict=True)
        return np.stack([_rotation(*each) for each in angles])


def kind_of(motion: MotionName) -> str:
    """What moves, without the direction: "pan", "zoom", "static"."""
    return motion.partition("_")[0]


def camera_path(
    motion: MotionName,
    frames: int,
    speed: tuple[float, float],
    rng: np.random.Generator,
    also: MotionName | None = None,
) -> CameraPath:
    """A random path of `frames` poses that makes `motion`, and `also`, and nothing else.

    `speed` bounds the image motion at the frame's edge, in frame widths a frame, of each motion.
    Directions of travel are those of the first frame, as CameraBench's questions put it.
    """
    kinds = [kind_of(motion)] + ([kind_of(also)] if also else [])
    travels = any(kind in _AXES for kind in kinds)
    focal = rng.uniform(0.75, 1.05)
    yaw, pitch = rng.uniform(-0.5, 0.5), rng.uniform(-0.15, 0.15)
    start = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.3, 0.3), rng.uniform(-0.5, 0.3)])
    still = np.zeros(frames)
    ramps = {kind_of(one): _ramp(one, frames, speed, rng) for one in (motion, also) if one}
    # A travelling camera looks nearly straight ahead, so that boards stay in view.
    yaw, pitch = (yaw * 0.2, pitch * 0.2) if travels else (yaw, pitch)
    yaws = yaw + ramps.get("pan", still) * (1 / focal)
    pitches = pitch + ramps.get("tilt", still) * (1 / focal)
    rolls = ramps.get("roll", still) * (1 / _EDGE)
    first = _rotation(yaws[0], pitches[0], rolls[0])
    return CameraPath(
        yaw=yaws,
        pitch=pitches,
        roll=rolls,
        position=start
        + sum(ramps[k][:, None] * _travel(k, first, focal) for k in kinds if k in _AXES)
        + np.zeros((frames, 3)),
        focal=focal * np.exp(ramps.get("zoom", still) * (1 / _EDGE)),
    )


def _ramp(
    motion: MotionName, frames: int, speed: tuple[float, float], rng: np.random.Generator
) -> Array:
    """How far each frame is from the middle of the motion, in frame widths of image motion."""
    kind, _, direction = motion.partition("_")
    step = rng.uniform(*speed) * (1 if direction in _FORWARD else -1) * (kind != "static")
    ramp: Array = (np.arange(frames) - (frames - 1) / 2) * step
    return ramp


def motions_of(path: CameraPath) -> tuple[MotionName, ...]:
    """The primitives that `path` makes, ("static",) if none, with respect to its first frame."""
    moved = path.rotations()[0].T @ (path.position[-1] - path.position[0])
    change = {
        "pan": ("left", "right", path.yaw[-1] - path.yaw[0]),
        "tilt": ("down", "up", path.pitch[-1] - path.pitch[0]),
        "roll": ("counterclockwise", "clockwise", path.roll[-1] - path.roll[0]),
        "zoom": ("out", "in", path.focal[-1] - path.focal[0]),
        "truck": ("left", "right", moved[0]),
        "pedestal": ("up", "down", moved[1]),
        "dolly": ("out", "in", moved[2]),
    }
    made: list[MotionName] = [
        f"{kind}_{positive if amount > 0 else negative}"  # type: ignore[misc]
        for kind, (negative, positive, amount) in change.items()
        if abs(amount) > 1e-9
    ]
    return tuple(made) or ("static",)


def _travel(kind: str, rotation: Array, focal: float) -> Array:
    """World displacement that moves the image at the typical depth by one frame width."""
    along: Array = rotation @ _AXES[kind]
    scale = _DEPTH / focal
    if kind == "pedestal":
        scale = -scale
    if kind == "dolly":
        scale = _DEPTH / _EDGE
    return along * scale


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z)
