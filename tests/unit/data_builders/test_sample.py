"""The one schema for a question, and its Parquet form."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data_builders.media import Item, image, video
from data_builders.sample import Sample, SampleError, read_samples, write_samples

MEDIA = st.sampled_from(
    [image("i.png"), video("a.mp4"), video("a.mp4", 0.1, 2), video("b.mp4", end=3.5)]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def sample(**changes: object) -> Sample:
    fields = {
        "id": "s1",
        "dataset": "synthetic",
        "split": "test",
        "task": "multiple_choice",
        "category": "pan_left",
        "media": (video("clips/a.mp4"),),
        "question": "How does the camera move?",
        "options": ("pan left", "zoom in"),
        "answer": "A",
    }
    return Sample.model_validate({**fields, **changes})


def test_letters_and_the_text_of_the_answer() -> None:
    one = sample(options=("x", "y", "z"), answer="C")
    assert one.letters == ("A", "B", "C") and one.answer_text == "z"


@pytest.mark.parametrize("count", [27, 40, 300])
def test_more_options_than_letters_are_refused_by_the_samples_id(count: int) -> None:
    assert len(sample(options=tuple(map(str, range(26))), answer="Z").letters) == 26
    with pytest.raises(ValidationError, match=rf"sample 's1': {count} options; .* 26"):
        sample(options=tuple(map(str, range(count))))


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
    media=st.lists(MEDIA, max_size=3),
    facts=st.dictionaries(st.text(), JSON, max_size=3),
)
def test_samples_survive_parquet(
    tmp_path_factory: pytest.TempPathFactory,
    question: str,
    options: list[str],
    think: str | None,
    provenance: dict[str, str],
    media: list[Item],
    facts: dict[str, object],
) -> None:
    one = sample(
        question=question, options=tuple(options), think=think, provenance=provenance,
        media=tuple(media), facts=facts,
    )  # fmt: skip
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
    asked = Sample(**fields, media=(video("a.mp4"),), question="How far?", options=(), answer="3.5")
    assert (asked.letters, asked.answer_text) == ((), "3.5")
    with pytest.raises(ValueError, match="neither options nor an answer"):
        Sample(**fields, media=(video("a.mp4"),), question="How far?", options=(), answer=" ")


@pytest.mark.parametrize("answer", [4, 0, -0.5, [1, 2.5], {"box": [0, 0, 1, 1]}, False, "pan left"])
def test_an_answer_is_a_text_a_number_or_json(tmp_path: Path, answer: object) -> None:
    asked = sample(options=(), answer=answer)
    write_samples(tmp_path / "s.parquet", [asked])
    [read] = read_samples(tmp_path / "s.parquet")
    assert read == asked and type(read.answer) is type(answer)
    assert read.truth == (answer if isinstance(answer, str) else json.dumps(answer))


@pytest.mark.parametrize(
    ("media", "question", "told"),
    [
        ((video("a.mp4"),), "Is <image> it?", "'s1': its question places <image>, its media are"),
        ((image("i.png"),), "<image> or <image>?", "its media are image i.png"),
        ((image("i.png"), video("a.mp4")), "<video> of <image>?", "video a.mp4; give one"),
        ((), "What is <image>?", "its media are none"),
    ],
)
def test_placeholders_that_do_not_fit_the_media_name_the_sample(
    media: tuple[Item, ...], question: str, told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        sample(media=media, question=question)


def test_parts_of_a_video_are_items_of_their_own_on_one_clip() -> None:
    whole, part = sample(), sample(media=(video("clips/a.mp4", 1.5, 4),))
    assert [item.name for item in part.media] == ["clips/a.mp4#t=1.5,4"]
    assert whole.clip == part.clip == "clips/a.mp4"
    assert sample(media=()).clip == "s1"  # a text is by itself
    for wrong in ({"start": 2, "end": 2}, {"start": -1}, {"end": 0}, {"kind": "image", "end": 1}):
        with pytest.raises(ValidationError, match=r"a\.mp4"):
            Item.model_validate({"kind": "video", "path": "a.mp4", **wrong})
