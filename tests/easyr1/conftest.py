"""A tiny model, two clips and their questions for EasyR1; skipped where EASYR1_HOME is unset."""

from __future__ import annotations

import json
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for `tiny` and `cpu`, in any import mode

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

if os.environ.get("EASYR1_HOME"):
    from reward_plugins.easyr1_plugin import checkout

    checkout.require()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model/`, two clips, and `rl.json` with eight questions about them."""
    import numpy as np
    import tiny

    from data_builders.decoding import write_lossless
    from data_builders.export import to_easyr1
    from data_builders.frames import materialise
    from data_builders.specs import FrameSpec, PromptSpec

    root = tmp_path_factory.mktemp("easyr1")
    spec = FrameSpec(fps=2.0, min_frames=4, max_frames=4, min_pixels=784, max_pixels=56 * 56)
    for clip in range(2):
        frames = np.random.default_rng(clip).integers(0, 256, (4, 56, 56, 3), dtype=np.uint8)
        write_lossless(root / f"{clip}.mp4", frames, Fraction(2))
    index = materialise(["0.mp4", "1.mp4"], root, root / "cache", spec)
    to_easyr1(tiny.questions(), index, PromptSpec(), root / "rl.json")
    tiny.build(
        root / "model", [row["problem"] for row in json.loads((root / "rl.json").read_text())]
    )
    return root


@pytest.fixture
def config(workspace: Path, tmp_path: Path) -> dict[str, Any]:
    """EasyR1's configuration of a run that a CPU can do."""
    import tiny

    return tiny.config(workspace, tmp_path / "checkpoints")
