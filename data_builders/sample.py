"""The one schema for a question, whatever its source, and its Parquet form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from data_builders.media import PLACE, PLACEHOLDERS, Item
from reward_plugins.errors import CamReasonerError
from reward_plugins.files import replacement

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class SampleError(CamReasonerError, ValueError):
    """A question that no model output could be scored against."""


class Sample(BaseModel):
    """One question about what it shows: images, videos, both, or nothing but text.

    `task` keys the per-task EMA of the advantage estimator (OneThinker's `problem_type`);
    `category` is what reports group by. `answer` is an option's letter; a question without options
    has the answer itself, a text, a number or other JSON, and a reward of its own
    (`rl.reward.function`). `facts` are for prompt and reward: maps, key frames, sizes, a duration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    dataset: str
    split: Literal["train", "test"]
    task: str
    category: str
    media: tuple[Item, ...]
    question: str
    """Shows its media where it says `<image>` and `<video>`; before its text where it says none."""
    options: tuple[str, ...]
    answer: JsonValue
    observation: str | None = None
    think: str | None = None
    facts: dict[str, JsonValue] = {}
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _can_be_scored(self) -> Sample:
        if len(self.options) > len(LETTERS):
            raise ValueError(
                f"sample {self.id!r}: {len(self.options)} options; there are letters for "
                f"{len(LETTERS)}: leave some out"
            )
        if not self.options and (self.answer is None or not self.truth.strip()):
            raise ValueError(f"sample {self.id!r}: neither options nor an answer; give either")
        if self.options and self.answer not in self.letters:
            raise ValueError(
                f"sample {self.id!r}: answer {self.answer!r} is not one of the letters "
                f"{', '.join(self.letters)}; give the letter of an option"
            )
        return self

    @model_validator(mode="after")
    def _places_its_media(self) -> Sample:
        check_places(self.id, self.question, self.media, "its question")
        return self

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters of the options, `("A", "B", ...)`."""
        return tuple(LETTERS[: len(self.options)])

    @property
    def truth(self) -> str:
        """The answer as a text: itself, or its JSON."""
        return self.answer if isinstance(self.answer, str) else json.dumps(self.answer)

    @property
    def answer_text(self) -> str:
        """The text of the right option, or the answer of a question without any."""
        return self.options[self.letters.index(self.truth)] if self.options else self.truth

    @property
    def clip(self) -> str:
        """What questions about the same pictures share, whichever part they show.

        The paths of its media; a text is by itself.
        """
        return " + ".join(item.path for item in self.media) or self.id


def shown_by(samples: Iterable[Sample]) -> dict[Item, str]:
    """All that `samples` show, each with the id of the first that does."""
    found: dict[Item, str] = {}
    for sample in samples:
        for item in sample.media:
            found.setdefault(item, sample.id)
    return found


def check_places(name: str, text: str, media: tuple[Item, ...], where: str) -> None:
    """Raise `SampleError` where `text` has placeholders, but not those of `media`, in order."""
    placed = PLACE.findall(text)
    if placed and placed != [PLACEHOLDERS[item.kind] for item in media]:
        raise SampleError(
            f"sample {name!r}: {where} places {' '.join(placed)}, its media are "
            f"{', '.join(f'{i.kind} {i.name}' for i in media) or 'none'}; give one placeholder "
            "an item, in order, or none at all"
        )


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


def _to_row(sample: Sample) -> dict[str, Any]:
    row = sample.model_dump()
    return {**row, **{name: json.dumps(row[name], sort_keys=True) for name in _JSON}}


def _from_row(row: dict[str, Any], path: Path) -> Sample:
    try:
        return Sample.model_validate({**row, **{name: json.loads(row[name]) for name in _JSON}})
    except (TypeError, ValueError, KeyError) as error:
        raise SampleError(f"{path}: {error}") from error


_JSON = ("answer", "facts", "provenance")
"""Fields of any shape, which a column of one type can't hold."""


def _schema() -> object:
    import pyarrow as pa

    item = {"kind": pa.string(), "path": pa.string(), "start": pa.float64(), "end": pa.float64()}
    lists = {"media": pa.list_(pa.struct(item)), "options": pa.list_(pa.string())}
    return pa.schema({name: lists.get(name, pa.string()) for name in Sample.model_fields})
