"""What a recipe says about published data sets; light enough for planning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from data_builders.specs import Spec

BenchmarkName = Literal[
    "held_out",
    "camerabench_binary",
    "camerabench_vqa",
    "camerabench_vqa_as_released",
    "camerabench_vqa_yes_no",
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
SourceName = str
"""`camerabench`, `shotqa`, `folder`, `synthetic`, a test set, a name in `data.files`, or
`path/to/file.py:function`."""
BUILT_IN = ("camerabench", "shotqa", "folder", "synthetic", *TEST_SETS)
OWN_SOURCE = r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$"


class Repository(Spec):
    """Files of a repository on the Hub or on GitHub."""

    repo: str
    """owner/name."""
    revision: str = "main"
    """A commit for a reproducible result; a branch is followed at the first fetch only, and the
    stage's log says which commit it was."""
    patterns: tuple[str, ...] = ("*",)
    """Glob patterns of the files wanted."""
    kind: Literal["dataset", "model", "github"] = "dataset"
    """A data set or a model on the Hub, or a repository on GitHub."""
    blobs: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]] = Field(default={})
    """Git's own hash of files that may not be others, by their path."""


class RepositoryFile(Spec):
    """One file of a repository, such as answers that others published."""

    repo: str
    """owner/name."""
    kind: Literal["dataset", "model", "github"] = "dataset"
    """A data set or a model on the Hub, or a repository on GitHub."""
    revision: str = "main"
    """A commit for a reproducible result."""
    file: str
    """Its path in the repository."""
    blob: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Git's own hash of the file, if it may not be another."""

    @property
    def repository(self) -> Repository:
        """The repository, of which this file is all that is wanted."""
        return Repository(
            repo=self.repo,
            kind=self.kind,
            revision=self.revision,
            patterns=(self.file,),
            blobs={self.file: self.blob} if self.blob else {},
        )


class FactsSpec(Spec):
    """Facts about clips, in a file of their own beside the questions (SpaceR's maps)."""

    file: str
    """JSON, JSON lines or Parquet: a row a clip, whose fields become facts of its questions."""
    key: str
    """The field that names the clip, without folder and ending."""
    where: dict[str, str] = Field(default={})
    """Questions whose fields have these values need facts; no other gets any."""
    prefix: str = ""
    """What the names of such questions' tasks begin with."""


class FilesSpec(Spec):
    """Questions in the rows of other trainers: LLaMA-Factory's sharegpt, EasyR1's and verl's."""

    rows: Repository | Path
    """Where the files are: a repository, or a folder of this machine."""
    sets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], str] = Field(min_length=1)
    """File of each question set (`sft`, `rl`, `test`), JSON, JSON lines or Parquet."""
    clips: Repository | Path
    """Where the clips are: a repository, whose archives are unpacked, or a folder."""
    task: str = "problem_type"
    """The field that names a question's task; spaces become underscores."""
    fields: tuple[str, ...] = ()
    """Fields that become facts, such as a clip's duration."""
    without: dict[str, tuple[str, ...]] = Field(default={})
    """Rows whose field has one of these values are left out (OneThinker's segmentation)."""
    facts: FactsSpec | None = None
    """Facts about clips from a file beside the questions."""
    collection: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$")
    """Data sets that take their clips from one collection share this: their clips are compared by
    name as well as by content. The source's own name by default."""


class CameraBenchSpec(Spec):
    """Which of CameraBench's questions, and where the training ones are."""

    vqa: Literal["match", "as_released", "yes_no"]
    """Test questions whose labels are right and whose text gives nothing away; the released file
    to the byte; or that which its authors deleted, to the byte: Yes or No, labels right."""
    train_annotations: Path | None = None
    """Folder of training annotations, which CameraBench gives out on request: the training
    questions are then asked by this project's rules. Null brings test questions alone."""


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
