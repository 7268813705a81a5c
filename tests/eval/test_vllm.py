"""vLLM answers as the Hugging Face engine does, given the same frames. Skipped where it isn't."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from noise import make_samples

pytest.importorskip("vllm")

from data_builders.decoding import write_lossless
from data_builders.frames import FrameIndex, materialise
from data_builders.specs import FrameSpec, PromptSpec, TinyModelSpec
from data_builders.tiny_model import TinyModelConfig, build
from orchestrator.evaluation.engines import Response, hf, make_request, vllm

# One step in time: transformers and vLLM number longer clips and the text behind them differently.
SPEC = FrameSpec(fps=2.0, min_frames=2, max_frames=2, min_pixels=784, max_pixels=56 * 56)


@pytest.fixture
def index(tmp_path: Path) -> FrameIndex:
    for clip in range(3):
        shape = (2, 56, 56, 3)
        frames = np.random.default_rng(clip).integers(0, 256, shape, dtype=np.uint8)
        write_lossless(tmp_path / f"{clip}.mp4", frames, Fraction(2))
    return materialise(["0.mp4", "1.mp4", "2.mp4"], tmp_path, tmp_path / "cache", SPEC)


def test_vllm_and_hugging_face_give_the_same_answers(
    workspace: Path, index: FrameIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    build(
        TinyModelConfig(
            model=TinyModelSpec(heads=2, kv_heads=1, initializer_range=0.3),  # heads of 64
            prompt=PromptSpec(),
            frames=SPEC,
            samples=workspace / "test.parquet",
            out=tmp_path / "model",
        )
    )
    batch = [
        make_request(sample, sample.media, index, PromptSpec(system="Be brief."))
        for sample in make_samples()
    ]
    expected = hf.load(tmp_path / "model", 8).answer(batch)
    assert len(set(expected)) > 1
    answers = vllm.load(tmp_path / "model", 8).answer(batch)
    assert [_whole(answer) for answer in answers] == [_whole(answer) for answer in expected]
    for answer, plain in zip(answers, expected, strict=True):
        assert answer.probabilities == pytest.approx(plain.probabilities, rel=1e-2)


def _whole(answer: Response) -> str:
    """Its text without a last character cut in two, which vLLM leaves out."""
    return answer.text.rstrip("\N{REPLACEMENT CHARACTER}")
