"""A textured box room with boards at several depths, ray-cast in numpy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_builders.synthetic.camera import Array, CameraPath

Frames = NDArray[np.uint8]
Floats = NDArray[np.float32]
Textures = NDArray[np.uint32]

TEXELS = 128
"""Width and height of a texture; it repeats."""
_FAR = np.float32(1e9)
SPIN = 3.0
"""Radians a board turns by where it would slide by a frame width: its edge moves as fast."""


@dataclass(frozen=True)
class Board:
    """An upright rectangle facing -z."""

    depth: float
    centre: tuple[float, float]
    half: tuple[float, float]
    tiles_per_metre: float
    slide: Floats | None = None
    """(T, 2) metres that the board has moved by, if it moves by itself."""
    turn: Floats | None = None
    """(T,) radians that it has turned by about its centre, clockwise as seen."""

    def at_rest(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Where the points (x, y) of its plane, (T, height, width), were before it moved."""
        if self.slide is None or self.turn is None:
            return x, y
        cos, sin = np.cos(self.turn)[:, None, None], np.sin(self.turn)[:, None, None]
        across = x - np.float32(self.centre[0]) - self.slide[:, 0, None, None]
        down = y - np.float32(self.centre[1]) - self.slide[:, 1, None, None]
        return (
            np.float32(self.centre[0]) + cos * across + sin * down,
            np.float32(self.centre[1]) - sin * across + cos * down,
        )


@dataclass(frozen=True)
class Room:
    """Half extents of the box in metres, the boards in it, and which texture each surface wears."""

    half: tuple[float, float, float]
    boards: tuple[Board, ...]
    tiles_per_metre: float
    surfaces: NDArray[np.int64]


def make_textures(count: int, rng: np.random.Generator) -> Textures:
    """(count, TEXELS, TEXELS) packed RGBA: band-limited colour noise.

    Coarse on purpose: a pattern whose wavelength is under four times its shift per frame
    looks as if it moved backwards (aliasing), and no model could tell its direction.
    """
    rows, columns = np.fft.fftfreq(TEXELS)[:, None] * TEXELS, np.fft.rfftfreq(TEXELS)[None] * TEXELS
    return np.stack([_texture(np.hypot(rows, columns), rng) for _ in range(count)])


def _texture(cycles: NDArray[np.float64], rng: np.random.Generator) -> Textures:
    low, high = rng.uniform(1.0, 1.5), rng.uniform(2.0, 4.0)
    above, below = np.clip(cycles - high, 0, None), np.clip(low - cycles, 0, None)
    amplitude = np.exp(-(above**2) / 18 - below**2) / np.sqrt(np.maximum(cycles, 1))
    phases = np.exp(2j * np.pi * rng.random(cycles.shape))
    noise = np.fft.irfft2(amplitude * phases, s=(TEXELS, TEXELS))
    tint = rng.normal(1.0, 0.25, 3)
    colour = rng.uniform(0.3, 0.7, 3) + 0.22 * (noise / noise.std())[..., None] * tint
    texels = np.full((TEXELS, TEXELS, 4), 255, np.uint8)
    texels[..., :3] = np.clip(colour * 255 + 0.5, 0, 255).astype(np.uint8)
    return texels.view(np.uint32)[..., 0]


def random_room(textures: int, rng: np.random.Generator) -> Room:
    """A room with three to five boards, wearing some of `textures` textures."""
    half = (rng.uniform(3, 4.5), rng.uniform(1.8, 2.6), rng.uniform(4, 6))
    boards = tuple(_random_board(half[2], rng) for _ in range(rng.integers(3, 6)))
    surfaces = rng.integers(0, textures, 6 + len(boards))
    return Room(half, boards, 1 / rng.uniform(4.5, 6.5), surfaces)


def _random_board(room_depth: float, rng: np.random.Generator) -> Board:
    depth = rng.uniform(1.6, room_depth * 0.75)
    centre = (rng.uniform(-0.55, 0.55) * depth, rng.uniform(-0.45, 0.45) * depth)
    half = (rng.uniform(0.12, 0.3) * depth, rng.uniform(0.12, 0.3) * depth)
    return Board(depth, centre, half, 1.5 / (rng.uniform(1.6, 1.9) * depth))


def set_moving(
    room: Room, frames: int, speed: tuple[float, float], rng: np.random.Generator
) -> Room:
    """`room` with its nearest board moving by itself, sliding or turning.

    `speed` is what it moves by in the image, in frame widths a frame, as of a camera's motion.
    """
    index = min(range(len(room.boards)), key=lambda i: room.boards[i].depth)
    board = room.boards[index]
    ramp = ((np.arange(frames) - (frames - 1) / 2) * rng.uniform(*speed)).astype(np.float32)
    heading, spin = rng.uniform(0, 2 * np.pi), rng.random() < 0.5
    ways = np.array([np.cos(heading), np.sin(heading)], np.float32) * np.float32(board.depth)
    turns = np.float32(rng.choice([-1, 1]) * SPIN)
    moving = replace(
        board,
        slide=ramp[:, None] * ways * np.float32(not spin),
        turn=ramp * turns * np.float32(spin),
        # Within view and large, or nobody could tell that it moves.
        centre=(board.centre[0] * 0.4, board.centre[1] * 0.4),
        half=(board.depth * 0.3, board.depth * 0.3),
    )
    boards = (*room.boards[:index], moving, *room.boards[index + 1 :])
    return replace(room, boards=boards)


def render(
    room: Room, path: CameraPath, textures: Textures, height: int, width: int, rays: int = 2
) -> Frames:
    """Frames (T, height, width, 3) along `path`; a pixel is the mean of `rays` x `rays` rays."""
    directions = _directions(path, height * rays, width * rays, width * rays)
    texels = _hit(room, path.position.astype(np.float32), directions, textures)
    channels = texels.view(np.uint8).reshape(len(path.yaw), height, rays, width, rays, 4)
    total = np.zeros((len(path.yaw), height, width, 4), np.uint16)
    for row in range(rays):
        for column in range(rays):
            total += channels[:, :, row, :, column]
    return (total[..., :3] // (rays * rays)).astype(np.uint8)


def _directions(path: CameraPath, height: int, width: int, unit: int) -> list[Floats]:
    """World direction of each ray: three (T, height, width) arrays."""
    rotation = path.rotations()
    lens = 1 / (path.focal * unit)
    right = rotation[:, :, 0, None] * lens[:, None, None] * (np.arange(width) + 0.5 - width / 2)
    down = rotation[:, :, 1, None] * lens[:, None, None] * (np.arange(height) + 0.5 - height / 2)
    right = (right + rotation[:, :, 2, None]).astype(np.float32)
    down = down.astype(np.float32)
    return [right[:, axis, None, :] + down[:, axis, :, None] for axis in range(3)]


def _hit(room: Room, origin: Floats, ray: list[Floats], textures: Textures) -> Textures:
    """The texel that each ray meets first, (T, height, width)."""
    start = [origin[:, axis, None, None] for axis in range(3)]
    distance, surface, u, v = _hit_walls(room, start, ray)
    tiles = np.full(distance.shape, room.tiles_per_metre, np.float32)
    per_depth = 1 / ray[2]
    for index, board in enumerate(room.boards):
        reach = (np.float32(board.depth) - start[2]) * per_depth
        x, y = board.at_rest(start[0] + reach * ray[0], start[1] + reach * ray[1])
        met = (reach > 0.05) & (reach < distance)
        met &= np.abs(x - np.float32(board.centre[0])) < board.half[0]
        met &= np.abs(y - np.float32(board.centre[1])) < board.half[1]
        np.copyto(distance, reach, where=met)
        np.copyto(u, x, where=met)
        np.copyto(v, y, where=met)
        surface[met] = room.surfaces[6 + index]
        tiles[met] = board.tiles_per_metre
    column = (u * tiles * TEXELS + 1024 * TEXELS).astype(np.int32) % TEXELS
    row = (v * tiles * TEXELS + 1024 * TEXELS).astype(np.int32) % TEXELS
    return textures.reshape(-1).take((surface * TEXELS + row) * TEXELS + column)


def _hit_walls(
    room: Room, start: list[Floats], ray: list[Floats]
) -> tuple[Floats, NDArray[np.int32], Floats, Floats]:
    """Distance, texture and surface coordinates (metres) of the box wall behind each ray."""
    distance = np.full(ray[0].shape, _FAR, np.float32)
    surface = np.zeros(distance.shape, np.int32)
    axis_hit = np.zeros(distance.shape, np.int8)
    for axis in range(3):
        ahead = ray[axis] > 0
        half = np.float32(room.half[axis])
        with np.errstate(divide="ignore"):
            reach = (np.where(ahead, half, -half) - start[axis]) / ray[axis]
        nearer = (reach > 0) & (reach < distance)
        np.copyto(distance, reach, where=nearer)
        np.copyto(axis_hit, np.int8(axis), where=nearer)
        wall = np.where(ahead, room.surfaces[2 * axis + 1], room.surfaces[2 * axis]).astype(
            np.int32
        )
        np.copyto(surface, wall, where=nearer)
    u = np.where(axis_hit == 0, start[2] + distance * ray[2], start[0] + distance * ray[0])
    v = np.where(axis_hit == 1, start[2] + distance * ray[2], start[1] + distance * ray[1])
    return distance, surface, u, v
