"""Time evaluation, in the environment `eval`: `python -m bench.bench_eval`.

Questions grouped by clip and answered in batches, against one question at a time with the clip
prepared anew for each, as the released harness does it; same machine, engine and model. Answers
are cut at a fixed length, so that both write as much.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from bench.figures import figure, say
from data_builders.decoding import write_lossless
from data_builders.frames import FrameIndex, materialise
from data_builders.media import video
from data_builders.sample import Sample, write_samples
from data_builders.specs import FrameSpec, PromptSpec, TinyModelSpec
from data_builders.tiny_model import TinyModelConfig, build
from orchestrator.evaluation.engines import Request, make_request
from orchestrator.evaluation.engines.hf import HuggingFaceEngine, load
from orchestrator.evaluation.pool import engines, spread

TOKENS = 32
CLIPS, QUESTIONS = 6, 8
"""CameraBench's binary set asks 7.9 questions a clip."""
PROMPT = PromptSpec()


def main() -> None:
    for side in (56, 224):
        spec = FrameSpec(
            fps=2.0, min_frames=8, max_frames=8, min_pixels=784, max_pixels=side * side
        )
        with tempfile.TemporaryDirectory() as folder:
            samples, index = prepare(Path(folder), spec, side)
            model = Path(folder) / "model"
            compare(load(model, TOKENS), samples, index, side)
            if side == 224:
                side_by_side(samples, index, model)


def compare(engine: HuggingFaceEngine, samples: list[Sample], index: FrameIndex, side: int) -> None:
    """Print questions a second, one at a time and grouped."""

    def one_by_one() -> None:
        for sample in samples:
            engine._seen.clear()
            engine.answer([request(sample, index)])

    def grouped() -> None:
        engine._seen.clear()
        for start in range(0, len(samples), 24):
            engine.answer([request(sample, index) for sample in samples[start : start + 24]])

    grouped()
    rates = {name: len(samples) / seconds(f) for name, f in (("one", one_by_one), ("all", grouped))}
    visual = index.meta(samples[0].clip).visual_tokens
    say(f"{len(samples)} questions on {CLIPS} clips, {side} px, {visual} visual tokens each")
    figure(f"eval {side} px, one question at a time", rates["one"], "/s")
    figure(f"eval {side} px, grouped by clip", rates["all"], "/s")
    figure(f"eval {side} px, grouped over one (bound: 4)", rates["all"] / rates["one"], "x")


def request(sample: Sample, index: FrameIndex) -> Request:
    """What the engine gets."""
    return make_request(sample, sample.media, index, PROMPT)


def prepare(root: Path, spec: FrameSpec, side: int) -> tuple[list[Sample], FrameIndex]:
    """Clips of noise, questions about them and a small random model."""
    for clip in range(CLIPS):
        rng = np.random.default_rng(clip)
        frames = rng.integers(0, 256, (8, side, side, 3), dtype=np.uint8)
        write_lossless(root / f"{clip}.mp4", frames, Fraction(2))
    samples = [
        Sample(
            id=f"{clip}/{number}",
            dataset="bench",
            split="test",
            task="binary",
            category="noise",
            media=(video(f"{clip}.mp4"),),
            question=f"Does the camera pan to the left, question {number}?",
            options=("Yes", "No"),
            answer="A",
        )
        for clip in range(CLIPS)
        for number in range(QUESTIONS)
    ]
    write_samples(root / "test.parquet", samples)
    build(
        TinyModelConfig(
            model=TinyModelSpec(),
            prompt=PROMPT,
            frames=spec,
            samples=root / "test.parquet",
            out=root / "model",
        )
    )
    return samples, materialise({s.clip for s in samples}, root, root / "cache", spec)


def side_by_side(samples: list[Sample], index: FrameIndex, model: Path) -> None:
    """Print how much faster two engines answer than one, loading left out."""
    requests = [request(sample, index) for sample in samples * 4]
    batches = [requests[start : start + 24] for start in range(0, len(requests), 24)]
    taken = {}
    for count in (1, 2):
        with engines(partial(load, model, TOKENS), count) as team:
            for engine in team:
                engine.answer(batches[0])  # warm
            taken[count] = seconds(lambda team=team: [*spread([e.answer for e in team], batches)])
    figure("eval 224 px, two engines over one (2 cores)", taken[1] / taken[2], "x")


def seconds(function: Callable[[], None]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
