"""A run directory with made-up numbers, for looking at and testing the report. Never real."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from data_builders.decoding import write_lossless
from data_builders.frames import FrameIndex, materialise
from data_builders.media import video
from data_builders.sample import Sample, write_samples
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.predictions import Prediction, write_predictions
from orchestrator.evaluation.questions import ask, select
from orchestrator.evaluation.score import score
from tests.givens import SPEC, frames_of
from tests.givens import evaluation as given

MOTIONS = ("pan left", "pan right", "static", "zoom in")
Saying = Callable[[Sample], str]
"""What a checkpoint answers to a sample."""
SKILL = {"base": 0.0, "sft": 0.45, "rl": 0.75}


def noise_samples(root: Path, clips: int = 8) -> list[Sample]:
    """Two questions about each of a few clips of noise."""
    samples: list[Sample] = []
    for number in range(clips):
        frames = np.random.default_rng(number).integers(0, 256, (4, 28, 28, 3), dtype=np.uint8)
        write_lossless(root / f"{number}.mp4", frames, Fraction(2))
        motion = MOTIONS[number % 4]
        asked = MOTIONS[(number + number // 4) % 4]
        shown = (video(f"{number}.mp4"),)
        common = {"dataset": "noise", "split": "test", "category": motion, "media": shown}
        samples += [
            Sample(
                id=f"{number}/binary",
                task="binary",
                question=f"Does the camera {asked}? <b>&",
                options=("Yes", "No"),
                answer="A" if asked == motion else "B",
                **common,
            ),
            Sample(
                id=f"{number}/choice",
                task="multiple_choice",
                question="Which description matches the camera movement?",
                options=MOTIONS,
                answer="ABCD"[number % 4],
                **common,
            ),
        ]
    return samples


def fabricate(run: Path, samples: Sequence[Sample], root: Path, names: Sequence[str]) -> Path:
    """Write `runs/<name>` with an evaluation of `names` about the clips below `root`."""
    evaluation = run / "eval"
    write_samples(run / "data" / "test.parquet", samples)
    index = materialise({s.clip for s in samples}, root, run / "cache", SPEC)
    config = _config(run, "held_out", run / "data" / "test.parquet", root, names)
    index.write(config.index_path("held_out"))
    (evaluation / "eval.json").write_text(config.model_dump_json())
    _answer(config, names)
    score(config)
    _training(run)
    recipe = {
        "name": run.name,
        "seed": 0,
        "stages": {"sft": {"kind": "sft"}, "rl": {"kind": "rl"}},
        "rl": {"group_size": 8, "prompts_per_step": 32, "reward": {"format_weight": 0.1}},
    }
    (run / "recipe.json").write_text(json.dumps(recipe))
    manifest = {"fingerprint": "0123456789abcdef", "seconds": 61.0}
    (evaluation / "manifest.json").write_text(json.dumps(manifest))
    return run


def _config(
    run: Path, benchmark: str, samples: Path, clips: Path, names: Sequence[str], swap: bool = True
) -> EvalConfig:
    return given(
        run / "eval",
        samples,
        checkpoints={name: run / name for name in names},
        benchmarks={benchmark: {"samples": samples, "clips": clips}},
        answers=run / "answers",
        cache=run / "cache",
        max_new_tokens=64,
        swap_control=swap,
    )


def _answer(config: EvalConfig, names: Sequence[str]) -> None:
    rng = random.Random(1)
    rows = []
    for name in names:
        for question in ask(select(config, "held_out"), swap=True, seed=0):
            sample = question.sample
            knows = question.condition == "shown" and rng.random() < SKILL[name]
            letter = sample.answer if knows else rng.choice(sample.letters)
            text = (
                "<observation>The view slides to the right.</observation>"
                f"<think>So the camera turns.</think><answer>{letter}</answer>"
            )
            broken = name == "base" and rng.random() < 0.3
            rows.append(
                Prediction(
                    "held_out", name, f"hash-{name}", sample.id, question.condition, sample.clip,
                    f"the camera <pan> {letter}" if broken else text, None, 40, 200, 0.02,
                )
            )  # fmt: skip
    write_predictions(config.predictions, rows)


def _training(run: Path) -> None:
    rng = random.Random(2)
    (run / "sft" / "checkpoints").mkdir(parents=True)
    (run / "rl").mkdir()
    with (run / "sft" / "checkpoints" / "trainer_log.jsonl").open("w") as file:
        for step in range(10, 410, 10):
            row = {
                "current_steps": step,
                "total_steps": 400,
                "loss": 3 * math.exp(-step / 90) + 0.3,
            }
            file.write(json.dumps({**row, "lr": 1e-3}) + "\n")
    with (run / "rl" / "metrics.jsonl").open("w") as file:
        for step in range(1, 81):
            rise = 1 - math.exp(-step / 40)
            data = {
                "critic/score/mean": 0.55 + 0.3 * rise + rng.gauss(0, 0.03),
                "reward/format/mean": 0.9 + 0.1 * rise,
                "reward/accuracy/mean": 0.5 + 0.33 * rise + rng.gauss(0, 0.03),
                "response_length/mean": 60 - 8 * rise + rng.gauss(0, 1),
                "actor/entropy": 0.3 - 0.15 * rise,
                "actor/pg_clipfrac": abs(rng.gauss(0.01, 0.004)),
                "ema_grpo/std/binary": 0.45 - 0.1 * rise,
                "ema_grpo/std/multiple_choice": 0.48 - 0.05 * rise,
                "training/filter_groups/generated_prompts": 32 + 8 * rng.randrange(4),
                "actor/grad_norm": abs(rng.gauss(0.8, 0.2)),
                "training/rollout_probs_diff_max": abs(rng.gauss(2e-6, 1e-6)),
            }
            file.write(json.dumps({"step": step, "data": data}) + "\n")


def evaluated(run: Path, samples: Sequence[Sample], answers: Mapping[str, Saying]) -> Path:
    """A run directory with the scores of one benchmark, whose clips are in no cache."""
    name, out = samples[0].dataset, run / "eval"
    write_samples(run / "test.parquet", samples)
    config = _config(run, name, run / "test.parquet", run, list(answers), swap=False)
    clips = {sample.clip: frames_of() for sample in samples}
    index = FrameIndex(cache=config.cache, spec=SPEC, clips=clips)
    index.write(config.index_path(name))
    (out / "eval.json").write_text(config.model_dump_json())
    write_predictions(
        config.predictions,
        [
            Prediction(name, who, who, s.id, "shown", s.clip, say(s), None, 9, 99, 0.1)
            for who, say in answers.items()
            for s in samples
        ],
    )
    score(config)
    (run / "recipe.json").write_text(json.dumps({"name": run.name}))
    return run
