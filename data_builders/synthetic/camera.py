"""Camera paths: one motion primitive each, and the primitive read back from a path.

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


def camera_path(
    motion: MotionName, frames: int, speed: tuple[float, float], rng: np.random.Generator
) -> CameraPath:
    """A random path of `frames` poses that makes `motion` and nothing else.

    `speed` bounds the image motion at the frame's edge, in frame widths a frame.
    """
    kind, _, direction = motion.partition("_")
    travels = kind in _AXES
    focal = rng.uniform(0.75, 1.05)
    yaw, pitch = rng.uniform(-0.5, 0.5), rng.uniform(-0.15, 0.15)
    start = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.3, 0.3), rng.uniform(-0.5, 0.3)])
    step = rng.uniform(*speed) * (1 if direction in _FORWARD else -1) * (kind != "static")
    ramp = (np.arange(frames) - (frames - 1) / 2) * step
    # A travelling camera looks nearly straight ahead, so that boards stay in view.
    yaw, pitch = (yaw * 0.2, pitch * 0.2) if travels else (yaw, pitch)
    offset = ramp[:, None] * (_travel(kind, yaw, pitch, focal) if travels else np.zeros(3))
    return CameraPath(
        yaw=yaw + ramp * ((kind == "pan") / focal),
        pitch=pitch + ramp * ((kind == "tilt") / focal),
        roll=ramp * ((kind == "roll") / _EDGE),
        position=start + offset,
        focal=focal * np.exp(ramp * ((kind == "zoom") / _EDGE)),
    )


def motion_of(path: CameraPath) -> MotionName:
    """The one primitive that `path` makes; `ValueError` when it makes several."""
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
    made = {kind: entry for kind, entry in change.items() if abs(entry[2]) > 1e-9}
    if not made:
        return "static"
    if len(made) > 1:
        raise ValueError(
            f"the camera path mixes {', '.join(made)}: only single primitives have a name"
        )
    [(kind, (negative, positive, amount))] = made.items()
    name: MotionName = f"{kind}_{positive if amount > 0 else negative}"  # type: ignore[assignment]
    return name


def _travel(kind: str, yaw: float, pitch: float, focal: float) -> Array:
    """World displacement that moves the image at the typical depth by one frame width."""
    along: Array = _rotation(yaw, pitch, 0.0) @ _AXES[kind]
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
