"""Time scores and report of a full benchmark: `python -m bench.bench_score [folder]`.

14,172 questions about 1,071 clips, answered by three checkpoints: CameraBench's released VQA where
CAMREASONER_SHARED_DATA names a folder that holds its annotations, else made-up ones of that size.
Where Chromium is installed, it opens the page from the disk. The report stays in `folder`.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.figures import figure, say
from data_builders import camerabench
from data_builders.frames import FrameIndex, FrameMeta
from data_builders.media import video
from data_builders.sample import Sample, write_samples
from data_builders.specs import FrameSpec, PromptSpec
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.predictions import Prediction, write_predictions
from orchestrator.evaluation.score import score
from orchestrator.report.pages import write_pages
from orchestrator.report.sources import Run
from tests.chromium import BINARY, Browser

Made = TypeVar("Made")

BENCHMARK = "camerabench_vqa_as_released"
QUESTIONS, CLIPS, CATEGORIES = 14_172, 1_071, 9
SKILL = {"base": 0.2, "sft": 0.4, "rl": 0.5}
SPEC = FrameSpec(fps=1.0, min_frames=4, max_frames=8, min_pixels=784, max_pixels=112 * 196)
WORDS = ["the", "camera", "wall", "slides", "left", "right", "while", "near", "far", "still", "so"]


def timed(what: str, work: Callable[[], Made]) -> Made:
    """What `work` returns; prints how long it took by the clock and of the processor."""
    wall, own = time.perf_counter(), time.process_time()
    made = work()
    took = time.perf_counter() - wall, time.process_time() - own
    figure(what, took[0], "s")
    figure(f"{what}: of the processor", took[1], "s")
    return made


def questions() -> list[Sample]:
    """Published questions, or as many made-up ones."""
    if shared := os.environ.get("CAMREASONER_SHARED_DATA"):
        return camerabench.vqa_as_released(Path(shared) / "camerabench")
    return [
        Sample(
            id=str(n), dataset=BENCHMARK, split="test", task="multiple_choice",
            category=f"skill_{n % CATEGORIES}", media=(video(f"{n % CLIPS}.mp4"),),
            question=f"Which is more likely to have the answer '{('yes', 'no')[n % 2]}'?",
            options=(f"It pans {n}.", f"It tilts {n}."), answer="AB"[n % 2],
        )
        for n in range(QUESTIONS)
    ]  # fmt: skip


def answers(samples: Sequence[Sample]) -> Iterator[Prediction]:
    """Responses of about 200 tokens."""
    rng = random.Random(0)
    for name, skill in SKILL.items():
        for sample in samples:
            letter = sample.answer if rng.random() < skill else rng.choice(sample.letters)
            seen, thought = (" ".join(rng.choices(WORDS, k=90)) for _ in range(2))
            text = (
                f"<observation>{seen}</observation><think>{thought}</think>"
                f"<answer>{letter}</answer>"
            )
            yield Prediction(
                BENCHMARK, name, name, sample.id, "shown", sample.clip, text, None, 200, 2000, 0.1,
                [0.6, 0.4],
            )  # fmt: skip


def evaluation(out: Path, samples: Sequence[Sample]) -> EvalConfig:
    """An evaluation on disk, without its scores; all clips show the same noise."""
    write_samples(out / "test.parquet", samples)
    config = EvalConfig.model_validate(
        {
            "checkpoints": {name: out / name for name in SKILL},
            "benchmarks": {BENCHMARK: {"samples": out / "test.parquet", "clips": out}},
            "answers": out / "answers",
            "cache": out / "cache",
            "frames": SPEC,
            "prompt": PromptSpec(),
            "engine": "hf",
            "versions": {},
            "batch_size": 1,
            "max_new_tokens": 256,
            "swap_control": False,
            "max_questions": None,
            "matching": "strict",
            "gate_accuracy_on_format": True,
            "min_block_chars": 0,
            "tasks": {},
            "metrics": {},
            "seed": 0,
            "workers": 2,
            "max_quarantined": 0.0,
            "out": out,
        }
    )
    clips = {sample.clip: _frames(out / "cache", n) for n, sample in enumerate(samples)}
    FrameIndex(cache=config.cache, spec=SPEC, clips=clips).write(config.index_path(BENCHMARK))
    (out / "eval.json").write_text(config.model_dump_json())
    write_predictions(config.predictions, list(answers(samples)))
    return config


def _frames(cache: Path, number: int) -> FrameMeta:
    """An entry of the cache; only a few differ."""
    key = f"noise-{number % 20}"
    if not (cache / key).exists():
        (cache / key).mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 7, 12, 3), dtype=np.uint8)
        pixels.repeat(16, axis=1).repeat(16, axis=2).tofile(cache / key / "frames.rgb")
    return FrameMeta(
        key=key, spec=SPEC, indices=tuple(range(8)), fps=1.0, height=112, width=192,
        source_frames=8, source_height=112, source_width=192, frames_sha256="", video_sha256="",
    )  # fmt: skip


def opened(page: Path) -> None:
    """Print how long the browser takes until the page, and its first examples, are there."""
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        try:
            browser.open(f"file://{page}")
            browser.until("document.querySelectorAll('article').length > 0")
            times = browser.evaluate(
                "(({domContentLoadedEventEnd: a, loadEventEnd: b}) => [a, b])"
                "(performance.getEntriesByType('navigation')[0])"
            )
            shown = browser.evaluate("performance.now()")
            figure("report page: DOM ready", times[0] / 1e3, "s")
            figure("report page: loaded (bound: 3 s)", times[1] / 1e3, "s")
            figure("report page: first examples shown", shown / 1e3, "s")
        finally:
            browser.close()


def main(folder: str | None = None) -> None:
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as given:
        out = Path(given).resolve()
        samples = questions()
        config = evaluation(out, samples)
        say(f"{len(samples):,} questions, {len(SKILL)} checkpoints")
        timed("scores with all statistics (bound: 10 s)", lambda: score(config))
        run = Run({"name": "bench"}, {"eval": out})
        page = timed("report with all examples", lambda: write_pages(run, out / "report"))
        files = [path for path in (out / "report").rglob("*") if path.is_file()]
        say(f"  {len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.0f} MiB")
        if BINARY:
            opened(page)


if __name__ == "__main__":
    main(*sys.argv[1:])
