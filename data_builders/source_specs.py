"""What a recipe says about published data sets; light enough for planning."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import model_validator

from data_builders.specs import Spec

BenchmarkName = Literal[
    "held_out",
    "camerabench_binary",
    "camerabench_vqa",
    "camerabench_vqa_as_released",
    "shotbench",
    "shotbench_camera_movement",
    "refineshot",
    "motionbench_camera",
    "synthetic",
]
"""`held_out` is the recipe's own test questions; orchestrator/evaluation/benchmarks.py gets the
others."""
TestSetName = Literal["shotbench", "shotbench_camera_movement", "refineshot", "motionbench_camera"]
"""Sources of held-out questions alone."""
TEST_SETS: tuple[TestSetName, ...] = get_args(TestSetName)
SourceName = Literal["camerabench", "shotqa", "folder", "synthetic"] | TestSetName


class CameraBenchSpec(Spec):
    """Which of CameraBench's questions, and where the training ones are."""

    vqa: Literal["match", "as_released"]
    """Test questions whose labels are right and whose text gives nothing away, or the released
    file to the byte."""
    rl_questions: Path | None
    """CamReasoner's camerabench_rl.json (38,451 questions), which its authors give out."""
    train_annotations: Path | None
    """Folder of training annotations, which CameraBench gives out on request; the same questions
    are then asked by this project's rules."""

    @model_validator(mode="after")
    def _one_origin(self) -> CameraBenchSpec:
        if self.rl_questions and self.train_annotations:
            raise ValueError("give rl_questions or train_annotations, not both")
        return self


class ShotQaSpec(Spec):
    """Which of ShotQA's files each stage trains on, as glob patterns."""

    sft_file: str
    """Questions whose bare answers SFT imitates."""
    rl_file: str
    """The subset for GRPO, which holds its video clips."""


class FolderSpec(Spec):
    """Your own clips and questions."""

    clips: Path
    """Folder of the clips."""
    questions: Path
    """CSV or JSON lines: clip, question, options, answer (`data_builders/folder.py`)."""
