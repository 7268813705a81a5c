"""Time the frame cache and the exports: `python -m bench.bench_frames`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from bench.figures import figure, say
from data_builders.decoding import decode, read_all
from data_builders.export import to_easyr1, to_llamafactory, to_verl
from data_builders.frames import FrameIndex, materialise
from data_builders.media import video, whole
from data_builders.sample import Sample
from data_builders.specs import FrameSpec, PromptSpec

SPEC = FrameSpec(fps=2.0, min_frames=8, max_frames=8, min_pixels=100_352, max_pixels=262_144)
SAMPLES = 38_451
"""Questions of the RL set (paper section 4.1)."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_clip(root / "clip.mp4", seconds=4, height=720, width=1280)
        index = materialise(["clip.mp4"], root, root / "cache", SPEC)
        decoding = best(lambda: decode(root, whole("clip.mp4"), SPEC), 3)
        reading = best(lambda: index.load("clip.mp4"), 20)
        say("8 frames of a 720p clip of 4 s")
        figure("frames: decoding", decoding * 1e3, "ms")
        figure("frames: warm, verified read", reading * 1e3, "ms")
        figure("frames: read over decoding (bound: 20)", decoding / reading, "x")
        packed = index.video_path("clip.mp4")
        unpacking = best(lambda: read_all(packed), 5)
        say("kept beside them: clip.mp4 alone would be too slow to read")
        figure("frames: reading clip.mp4 over decoding", decoding / unpacking, "x")
        share = packed.stat().st_size / index.frames_path("clip.mp4").stat().st_size
        figure("frames: size of clip.mp4 over frames.rgb", share, "")
        bench_exports(index, root)


def bench_exports(index: FrameIndex, root: Path) -> None:
    """Time writing the RL set in each trainer's format."""
    samples = [make_sample(number) for number in range(SAMPLES)]
    prompt = PromptSpec()
    exports: dict[str, Callable[[], object]] = {
        "LLaMA-Factory": lambda: to_llamafactory(samples, index, prompt, root / "sft", "sft"),
        "verl": lambda: to_verl(samples, index, prompt, root / "rl.parquet"),
        "EasyR1": lambda: to_easyr1(samples, index, prompt, root / "rl.json"),
    }
    say(f"{SAMPLES:,} samples, processor seconds, and the clock's for all")
    started = time.perf_counter()
    times = {name: best(export, 1) for name, export in exports.items()}
    wall = time.perf_counter() - started
    for name, taken in {**times, "all three": sum(times.values())}.items():
        figure(f"export {name}", taken, "s")
    figure("export all three, by the clock (bound: 10 s)", wall, "s")


def write_clip(path: Path, seconds: int, height: int, width: int) -> None:
    """A moving texture, as a camera would see it."""
    rng = np.random.default_rng(0)
    wall = rng.integers(0, 256, (height // 16, width // 8, 3), dtype=np.uint8)
    wall = wall.repeat(16, axis=0).repeat(16, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(24 * seconds):
            picture = np.ascontiguousarray(wall[:, 4 * number : 4 * number + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def make_sample(number: int) -> Sample:
    """A question with a trace of a usual length."""
    return Sample(
        id=f"s{number}",
        dataset="bench",
        split="train",
        task="binary",
        category="pan_left",
        media=(video("clip.mp4"),),
        question=f"Does the camera pan to the left in shot {number}?",
        options=("Yes", "No"),
        answer="A",
        observation="The wall slides to the right while its size stays the same. " * 4,
        think="Everything moves by the same amount, so the camera turns. " * 4,
    )


def best(function: Callable[[], object], repeats: int) -> float:
    """The best processor time of `repeats` calls, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    main()
