"""Which questions are asked, and about which clips."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from eval_fixtures import make_config, sample

from data_builders.media import image, video
from orchestrator.evaluation.config import EvaluationError
from orchestrator.evaluation.questions import ask, select, swapped


def test_questions_on_one_clip_stand_side_by_side() -> None:
    questions = ask([sample(n) for n in (0, 2, 1, 4, 3, 5)], swap=True, seed=0)
    runs = [clip for clip, _ in groupby(questions, key=lambda question: question.media)]
    assert len(questions) == 12 and len(runs) == len(set(runs))


def test_swapped_clips_are_of_another_category_and_depend_on_the_seed_alone() -> None:
    samples = [sample(n, media=(video(f"{n}.mp4"),)) for n in range(40)]
    category = {one.media: one.category for one in samples}
    swaps = swapped(samples, seed=1)
    assert all(category[swaps[one.id]] != one.category for one in samples)
    assert swaps == swapped(samples, seed=1) != swapped(samples, seed=2)


def test_where_every_clip_has_every_category_another_clip_will_do() -> None:
    samples = [sample(n) for n in range(6)]
    swaps = swapped(samples, seed=0)
    assert all(swaps[one.id] != one.media for one in samples)


def test_one_clip_cannot_be_swapped() -> None:
    with pytest.raises(EvaluationError, match="nothing else of the kind"):
        swapped([sample(0), sample(1)], seed=0)


def test_a_draw_is_seeded_and_keeps_the_order(tmp_path: Path) -> None:
    samples = [sample(n) for n in range(50)]
    config = make_config(tmp_path, samples, max_questions=10)
    drawn = [one.id for one in select(config, "held_out")]
    assert len(drawn) == 10 and drawn == sorted(drawn, key=lambda name: int(name[1:]))
    assert drawn == [one.id for one in select(config, "held_out")]
    assert drawn != [one.id for one in select(config.model_copy(update={"seed": 1}), "held_out")]


def test_doubled_ids_are_refused(tmp_path: Path) -> None:
    config = make_config(tmp_path, [sample(0), sample(0)])
    with pytest.raises(EvaluationError, match="'s0'"):
        select(config, "held_out")


def test_no_questions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="holds no questions"):
        select(make_config(tmp_path, []), "held_out")


def test_an_image_is_swapped_for_an_image_and_a_part_for_another_video() -> None:
    still, other = image("0.png"), image("1.png")
    shown = [
        (still, video("0.mp4")), (video("0.mp4", 1, 2),), (video("0.mp4", 2, 3),), (other,), (),
        (video("1.mp4"),),
    ]  # fmt: skip
    samples = [sample(n, media=media, category="c") for n, media in enumerate(shown)]
    swaps = swapped(samples, seed=0)
    assert swaps["s0"] == (other, video("1.mp4")) and swaps["s3"] == (still,)
    assert swaps["s1"] == swaps["s2"] == (video("1.mp4"),) and swaps["s4"] == ()
    with pytest.raises(EvaluationError, match="sample 's0'"):
        swapped([sample(0, media=(still, other)), sample(1)], seed=0)
