"""The one schema for a question, and its Parquet form."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data_builders.sample import Sample, SampleError, read_samples, write_samples


def sample(**changes: object) -> Sample:
    fields = {
        "id": "s1",
        "dataset": "synthetic",
        "split": "test",
        "task": "multiple_choice",
        "category": "pan_left",
        "clip": "clips/a.mp4",
        "question": "How does the camera move?",
        "options": ("pan left", "zoom in"),
        "answer": "A",
    }
    return Sample.model_validate({**fields, **changes})


def test_letters_and_the_text_of_the_answer() -> None:
    one = sample(options=("x", "y", "z"), answer="C")
    assert one.letters == ("A", "B", "C") and one.answer_text == "z"


@pytest.mark.parametrize("answer", ["C", "a", "", "pan left"])
def test_an_answer_that_is_no_option_is_refused(answer: str) -> None:
    with pytest.raises(ValidationError, match="is not one of the letters A, B"):
        sample(answer=answer)


@settings(deadline=None, max_examples=30)
@given(
    question=st.text(),
    options=st.lists(st.text(), min_size=1, max_size=26),
    think=st.none() | st.text(),
    provenance=st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_samples_survive_parquet(
    tmp_path_factory: pytest.TempPathFactory,
    question: str,
    options: list[str],
    think: str | None,
    provenance: dict[str, str],
) -> None:
    one = sample(question=question, options=tuple(options), think=think, provenance=provenance)
    path = tmp_path_factory.mktemp("samples") / "deep" / "samples.parquet"
    assert write_samples(path, [one, sample()]) == 2
    assert read_samples(path) == [one, sample()]


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the data stage first"):
        read_samples(tmp_path / "none.parquet")
    pq.write_table(pa.table({"provenance": ["{}"], "id": ["x"]}), tmp_path / "other.parquet")
    with pytest.raises(SampleError, match=r"other\.parquet"):
        read_samples(tmp_path / "other.parquet")


def test_a_question_without_options_has_its_answer_as_text() -> None:
    fields = {"id": "s", "dataset": "d", "split": "train", "task": "distance", "category": "c"}
    asked = Sample(**fields, clip="a.mp4", question="How far?", options=(), answer="3.5")
    assert (asked.letters, asked.answer_text) == ((), "3.5")
    with pytest.raises(ValueError, match="neither options nor an answer"):
        Sample(**fields, clip="a.mp4", question="How far?", options=(), answer=" ")
