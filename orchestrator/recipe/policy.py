"""One name for every policy: `base`, `<stage>` or `<stage>:last|epoch:N|step:N`."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import Field

BASE = "base"
"""The model that training starts from."""
LAST = "last"
STAGE = r"[a-z][a-z0-9_]*"
CHECKPOINT = r"last|epoch:[1-9][0-9]*|step:[1-9][0-9]*"
GRAMMAR = "base | <stage>[:last|epoch:N|step:N]"

StageName = Annotated[str, Field(pattern=f"^{STAGE}$")]
PolicyName = Annotated[str, Field(pattern=f"^{STAGE}(:({CHECKPOINT}))?$")]
"""`base`, or a stage of the recipe and which of its checkpoints: the last where none is named."""


class Policy(NamedTuple):
    """A checkpoint of a stage."""

    stage: str
    checkpoint: str = LAST
    """`last`, `epoch:N` or `step:N`."""

    @property
    def folder(self) -> str:
        """Where the stage leaves it, below its directory: `last`, `epoch-2`, `step-600`."""
        return self.checkpoint.replace(":", "-")

    @property
    def unit(self) -> str:
        """`last`, `epoch` or `step`."""
        return self.checkpoint.partition(":")[0]

    @property
    def number(self) -> int:
        """The epoch or step; 0 for the last."""
        return int(self.checkpoint.partition(":")[2] or 0)

    def __str__(self) -> str:
        return self.stage if self.checkpoint == LAST else f"{self.stage}:{self.checkpoint}"


def parse_policy(name: str) -> Policy:
    """The policy called `name`; raises `ValueError` with the grammar for anything else."""
    if re.fullmatch(f"{STAGE}(:({CHECKPOINT}))?", name) is None:
        raise ValueError(f"{name!r} is no policy: {GRAMMAR}")
    stage, _, checkpoint = name.partition(":")
    return Policy(stage, checkpoint or LAST)
