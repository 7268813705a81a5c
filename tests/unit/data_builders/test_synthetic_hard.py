"""Compound motions, things that move by themselves, and questions between motions much alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders.sample import Sample
from data_builders.specs import MOTIONS, MotionName, SyntheticSpec, TaskName
from data_builders.synthetic.build import (
    build,
    is_distracted,
    plan_clips,
    questions_about,
    render_job,
)
from data_builders.synthetic.camera import KINDS, camera_path, kind_of, motions_of
from data_builders.synthetic.questions import CHOICE, PARTNERS, WORDINGS, ask, label, name, trace

SEEDS = st.integers(0, 2**32 - 1)
SPEC = SyntheticSpec(sft_clips=30, rl_clips=0, test_clips=30)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[MotionName, MotionName]:
    first = draw(st.sampled_from(MOTIONS[1:]))
    others = [m for m in MOTIONS[1:] if kind_of(m) != kind_of(first)]
    made = first, draw(st.sampled_from(others))
    return min(made, key=_place), max(made, key=_place)


def _place(motion: MotionName) -> int:
    return KINDS.index(kind_of(motion))


# --- compound motions ---


@given(pair=pairs(), frames=st.integers(2, 20), seed=SEEDS, swapped=st.booleans())
def test_both_motions_are_read_back_from_the_path(
    pair: tuple[MotionName, MotionName], frames: int, seed: int, swapped: bool
) -> None:
    first, second = pair[::-1] if swapped else pair
    path = camera_path(first, frames, (0.02, 0.05), np.random.default_rng(seed), second)
    assert motions_of(path) == pair


@given(pair=pairs(), choices=st.integers(2, 6), seed=SEEDS, hard=st.booleans())
def test_no_option_stands_out_and_one_is_right(
    pair: tuple[MotionName, MotionName], choices: int, seed: int, hard: bool
) -> None:
    question = ask("multiple_choice", pair, MOTIONS, choices, np.random.default_rng(seed), hard)
    assert question.text == CHOICE and len(set(question.options)) == choices
    assert question.options["ABCDEF".index(question.answer)] == label(pair)
    assert all(option.count(" and ") == 1 for option in question.options)


@given(pair=pairs(), seed=SEEDS, hard=st.booleans())
def test_yes_means_that_the_camera_does_it_among_others(
    pair: tuple[MotionName, MotionName], seed: int, hard: bool
) -> None:
    question = ask("binary", pair, MOTIONS, 4, np.random.default_rng(seed), hard)
    asked = next(m for m in MOTIONS if WORDINGS[m].question == question.text)
    right = question.options["AB".index(question.answer)]
    assert right == ("Yes" if asked in pair else "No")


def test_a_share_of_moving_cameras_makes_two_motions() -> None:
    spec = SPEC.model_copy(update={"compound": 0.5, "sft_clips": 300})
    made = [s.category for s in _samples(spec, "binary") if s.provenance["use"] == "sft"]
    moving = [category for category in made if category != "static"]
    assert 0.4 < np.mean(["+" in category for category in moving]) < 0.6
    assert len(made) - len(moving) == 20  # a still camera stays one


# --- things that move by themselves ---


def test_only_a_thing_moves_before_a_still_camera() -> None:
    spec = SPEC.model_copy(update={"moving_objects": 1.0})
    still = [job for job in plan_clips(spec) if job.motion == "static"]
    for job in still:
        changed = (np.ptp(render_job(spec, job), axis=0) > 8).any(axis=-1)
        assert 0.01 < changed.mean() < 0.6
    plain = SPEC.model_copy()
    assert not any(np.ptp(render_job(plain, j), axis=0).any() for j in plan_clips(plain)[:1])


def test_ego_motion_is_the_answer_whatever_else_moves() -> None:
    spec = SPEC.model_copy(update={"moving_objects": 0.5})
    samples = _samples(spec, "multiple_choice")
    assert {s.category for s in samples} == set(MOTIONS)
    for sample in samples:
        assert sample.answer_text == name(sample.category)  # type: ignore[arg-type]
        marked = sample.provenance.get("moving_object") == "yes"
        if sample.observation is not None:
            assert sample.observation.startswith("One thing moves by itself.") == marked
    assert 0.3 < np.mean(["moving_object" in s.provenance for s in samples]) < 0.7


def test_a_moving_thing_is_not_called_stillness() -> None:
    question = ask("binary", ("static",), MOTIONS, 4, np.random.default_rng(0))
    seen, _ = trace(("static",), question, distracted=True)
    assert seen == "One thing moves by itself. The rest of the view holds still."


# --- hard pairs ---


def test_every_partner_has_its_partner() -> None:
    assert set(PARTNERS) == set(MOTIONS)
    assert all(motion in PARTNERS[p] for motion, others in PARTNERS.items() for p in others)


@given(
    motion=st.sampled_from(MOTIONS), task=st.sampled_from(["binary", "multiple_choice"]), seed=SEEDS
)
def test_a_hard_question_offers_the_most_alike_motion(
    motion: MotionName, task: TaskName, seed: int
) -> None:
    question = ask(task, (motion,), MOTIONS, 2, np.random.default_rng(seed), hard=True)
    if task == "multiple_choice":
        assert set(question.options) - {name(motion)} <= {name(p) for p in PARTNERS[motion]}
    else:
        asked = next(m for m in MOTIONS if WORDINGS[m].question == question.text)
        assert asked in (motion, *PARTNERS[motion])


@pytest.mark.parametrize(
    "motions", [("dolly_in", "zoom_in"), ("pan_left", "truck_left"), ("static", "roll_clockwise")]
)
def test_a_data_set_of_one_pair_on_demand(motions: tuple[MotionName, ...]) -> None:
    spec = SPEC.model_copy(
        update={"motions": motions, "hard_pairs": 1.0, "choices": 2, "compound": 0.5}
    )
    options = {s.options for s in _samples(spec, "multiple_choice") if "+" not in s.category}
    assert options <= {tuple(map(name, motions)), tuple(map(name, motions[::-1]))}


# --- what stays as it was, and what lies beside a clip ---


def test_clips_that_stay_plain_keep_every_byte() -> None:
    grown = SPEC.model_copy(update={"moving_objects": 0.5})
    for plain, job in zip(plan_clips(SPEC)[:8], plan_clips(grown), strict=False):
        same = np.array_equal(render_job(SPEC, plain), render_job(grown, job))
        assert same == (not is_distracted(grown, job))


def test_what_is_asked_leaves_the_clips_where_they_are() -> None:
    here = plan_clips(SPEC)[0].path
    assert plan_clips(SPEC.model_copy(update={"hard_pairs": 1.0}))[0].path == here
    assert plan_clips(SPEC.model_copy(update={"compound": 0.1}))[0].path != here


def test_the_camera_path_lies_beside_the_clip(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"compound": 1.0, "sft_clips": 4, "test_clips": 0})
    for sample in build(spec, tmp_path):
        facts = json.loads((tmp_path / sample.clip).with_suffix(".json").read_text())
        assert "+".join(facts["motions"]) == sample.category
        assert np.shape(facts["position"]) == (spec.frames, 3)
        assert all(len(facts[k]) == spec.frames for k in ("yaw", "pitch", "roll", "focal"))


def _samples(spec: SyntheticSpec, task: TaskName) -> list[Sample]:
    only = spec.model_copy(update={"tasks": (task,)})
    return [sample for job in plan_clips(only) for sample in questions_about(only, job)]
