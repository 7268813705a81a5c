"""The one schema for a question, whatever its source, and its Parquet form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from reward_plugins.errors import CamReasonerError
from reward_plugins.files import replacement

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class SampleError(CamReasonerError, ValueError):
    """A question that no model output could be scored against."""


class Sample(BaseModel):
    """One question about one clip.

    `task` keys the per-task EMA of the advantage estimator (OneThinker's `problem_type`);
    `category` is what reports group by. `answer` is an option's letter; a question without options
    has the answer itself, such as a number, and a reward of its own (`rl.reward.function`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    dataset: str
    split: Literal["train", "test"]
    task: str
    category: str
    clip: str
    question: str
    options: tuple[str, ...]
    answer: str
    observation: str | None = None
    think: str | None = None
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> Sample:
        if not self.options and not self.answer.strip():
            raise ValueError(f"sample {self.id!r}: neither options nor an answer; give either")
        if self.options and self.answer not in self.letters:
            raise ValueError(
                f"sample {self.id!r}: answer {self.answer!r} is not one of the letters "
                f"{', '.join(self.letters)}; give the letter of an option"
            )
        return self

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters of the options, `("A", "B", ...)`."""
        return tuple(LETTERS[: len(self.options)])

    @property
    def answer_text(self) -> str:
        """The text of the right option, or the answer of a question without any."""
        return self.options[self.letters.index(self.answer)] if self.options else self.answer


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write `samples` to a Parquet file, atomically, and return how many there were."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [_to_row(sample) for sample in samples]
    with replacement(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), partial)
    return len(rows)


def read_samples(path: Path) -> list[Sample]:
    """Read what `write_samples` wrote; `FileNotFoundError` or `SampleError` name the file."""
    import pyarrow.parquet as pq

    if not path.is_file():
        raise FileNotFoundError(f"no samples at {path}: run the data stage first (make data)")
    return [_from_row(row, path) for row in pq.read_table(path).to_pylist()]


def _to_row(sample: Sample) -> dict[str, object]:
    row = sample.model_dump()
    row["options"] = list(sample.options)
    row["provenance"] = json.dumps(sample.provenance, sort_keys=True)
    return row


def _from_row(row: dict[str, object], path: Path) -> Sample:
    try:
        return Sample.model_validate({**row, "provenance": json.loads(str(row["provenance"]))})
    except (ValueError, KeyError) as error:
        raise SampleError(f"{path}: {error}") from error


def _schema() -> object:
    import pyarrow as pa

    text = {name: pa.string() for name in Sample.model_fields if name != "options"}
    return pa.schema({**text, "options": pa.list_(pa.string())})
