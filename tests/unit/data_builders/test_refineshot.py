from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders import refineshot, shotbench
from data_builders.annotations import AnnotationsError
from data_builders.media import image
from data_builders.refineshot import GROUPS
from data_builders.sample import LETTERS, Sample

OPTION_COUNTS = {
    ("lighting", 2): 151, ("lighting", 4): 199, ("lighting_type", 2): 88,
    ("lighting_type", 4): 147, ("lighting_type", 5): 170, ("shot_framing", 2): 159,
    ("shot_framing", 4): 286,
}  # fmt: skip


def _sample(category: str, options: tuple[str, ...], answer: str, number: int = 0) -> Sample:
    return Sample(
        id=f"shotbench_{number}", dataset="shotbench", split="test", task="multiple_choice",
        category=category, media=(image("x.jpg"),), question=f"What's the {category}?",
        options=options,
        answer=LETTERS[options.index(answer)],
    )  # fmt: skip


def _unrefined(sample: Sample) -> Sample:
    """A question that refines to `sample`: its answer among terms of other groups."""
    term = sample.answer_text
    if sample.question.startswith("Is the "):
        term = sample.question.partition(" of this shot ")[2].rstrip("?")
    if sample.category not in GROUPS:
        return sample
    return sample.model_copy(update={"options": (term, "other"), "answer": "A", "question": "?"})


def test_the_published_refined_questions_come_out_to_the_letter(refined_tsv: Path) -> None:
    wanted = shotbench.questions(refined_tsv)
    made = refineshot.refine([_unrefined(s) for s in wanted])
    changed = [(m, w) for m, w in zip(made, wanted, strict=True) if "refined" in m.provenance]
    assert len(changed) == 961
    for ours, theirs in changed:
        assert (ours.options, ours.answer) == (theirs.options, theirs.answer)
        assert ours.question in (theirs.question, "?")
    kept = Counter((s.category, len(s.options)) for s in wanted if s.category in GROUPS)
    assert kept == OPTION_COUNTS


def test_options_become_the_answers_own_group() -> None:
    sample = _sample("lighting", ("Soft light", "Silhouette", "Top light"), "Soft light")
    (refined,) = refineshot.refine([sample])
    assert set(refined.options) == {"Hard light", "Soft light"}
    assert refined.answer_text == "Soft light"
    assert (refined.id, refined.dataset) == ("refineshot_0", "refineshot")


def test_a_term_alone_in_its_group_is_asked_yes_or_no() -> None:
    sample = _sample("shot_framing", ("Single", "Insert"), "Insert")
    (refined,) = refineshot.refine([sample])
    assert refined.question == "Is the shot framing of this shot Insert?"
    assert set(refined.options) == {"yes", "no"}
    assert refined.answer_text == "yes"


def test_other_dimensions_and_joint_answers_keep_their_options() -> None:
    movement = _sample("camera_movement", ("Pan left", "Zoom in"), "Pan left")
    joint = _sample("lighting", ("Side light, Soft light", "Backlight"), "Side light, Soft light")
    for sample, same in zip([movement, joint], refineshot.refine([movement, joint]), strict=True):
        assert same == sample.model_copy(update={"dataset": "refineshot", "id": same.id})


def test_an_unknown_term_is_refused() -> None:
    sample = _sample("lighting", ("Moon beam", "Backlight"), "Moon beam")
    with pytest.raises(AnnotationsError, match="no group of lighting holds 'Moon beam'"):
        refineshot.refine([sample])


_TERMS = [(c, t) for c, groups in GROUPS.items() for g in groups for t in g]


@given(st.lists(st.sampled_from(_TERMS), max_size=30), st.integers(0, 9))
def test_refining_is_deterministic_and_keeps_the_truth(
    terms: list[tuple[str, str]], seed: int
) -> None:
    samples = [_sample(c, (t, "other"), t, n) for n, (c, t) in enumerate(terms)]
    refined = refineshot.refine(samples, seed)
    assert refined == refineshot.refine(samples, seed)
    assert all(r.answer_text in (t, "yes") for r, (_, t) in zip(refined, terms, strict=True))
