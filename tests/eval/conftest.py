"""A small random Qwen2.5-VL, a few clips of noise and their questions."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from data_builders.decoding import write_lossless
from data_builders.frames import FrameIndex, materialise
from data_builders.sample import write_samples
from data_builders.specs import PromptSpec, TinyModelSpec
from data_builders.tiny_model import TinyModelConfig, build
from orchestrator.evaluation.config import EvalConfig
from tests.givens import SPEC, evaluation

sys.path.insert(0, str(Path(__file__).parent))  # for `noise`, in any import mode

from noise import make_samples


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("eval")
    for clip in range(3):
        shape = (8 if clip else 6, 56, 56, 3)  # clips of different lengths meet in a batch
        frames = np.random.default_rng(clip).integers(0, 256, shape, dtype=np.uint8)
        write_lossless(root / f"{clip}.mp4", frames, Fraction(2))
    write_samples(root / "test.parquet", make_samples())
    build(
        TinyModelConfig(
            model=TinyModelSpec(initializer_range=0.3),
            prompt=PromptSpec(),
            frames=SPEC,
            samples=root / "test.parquet",
            out=root / "model",
        )
    )
    return root


@pytest.fixture(scope="session")
def index(workspace: Path) -> FrameIndex:
    return materialise(["0.mp4", "1.mp4", "2.mp4"], workspace, workspace / "cache", SPEC)


@pytest.fixture(scope="session")
def images(workspace: Path) -> FrameIndex:
    """The same frames, to be shown as images."""
    spec = SPEC.model_copy(update={"media": "images"})
    return materialise(["0.mp4", "1.mp4", "2.mp4"], workspace, workspace / "cache", spec)


@pytest.fixture
def config(workspace: Path, tmp_path: Path) -> EvalConfig:
    return evaluation(
        tmp_path / "out",
        workspace / "test.parquet",
        checkpoints={"base": workspace / "model"},
        benchmarks={"noise": {"samples": workspace / "test.parquet", "clips": workspace}},
        answers=tmp_path / "answers",
        cache=workspace / "cache",
        batch_size=5,
        swap_control=True,
    )
