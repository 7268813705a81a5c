"""RefineShot: ShotBench with options that exclude each other (Wu et al. 2025, arXiv 2510.02423).

ShotBench offers options that can be true at once ("Side light", "Soft light"). RefineShot keeps,
for three dimensions, only the group of terms that the right answer competes with. It isn't
distributed: its own script derives it from ShotBench with seed 42, and so does this module, to
the letter.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from data_builders.annotations import AnnotationsError
from data_builders.sample import LETTERS, Sample

SEED = 42
NAME = "refineshot"

GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "shot_framing": (
        ("Single", "2 shot", "3 shot", "Group shot"),
        ("Insert",),
        ("Over the shoulder",),
        ("Establishing shot",),
    ),
    "lighting_type": (
        ("Daylight", "Moonlight", "Firelight", "Artificial light", "Mixed light"),
        ("Overcast", "Sunny"),
        ("Fluorescent", "HMI", "Tungsten", "LED"),
        ("Practical light",),
    ),
    "lighting": (
        ("Side light", "Backlight", "Top light", "Underlight"),
        ("Hard light", "Soft light"),
        ("High contrast", "Low contrast"),
        ("Edge light",),
        ("Silhouette",),
    ),
}
"""Terms of which only one can hold, by dimension (the paper's category.json)."""


def refine(samples: Iterable[Sample], seed: int = SEED) -> list[Sample]:
    """ShotBench's `samples`, in their order, with refined options: 961 of 3,572 change.

    A term alone in its group becomes a yes-or-no question. Answers that join several terms with
    a comma stay. Ids keep their number ("shotbench_7" is "refineshot_7"), so that answers to the
    two sets can be paired. The order of options depends on all rows before: pass the whole test
    set. Raises `AnnotationsError` for an answer that no group holds.
    """
    shuffler = random.Random(seed)  # one stream over all rows, as in the published script
    renamed = [
        s.model_copy(update={"dataset": NAME, "id": s.id.replace("shotbench", NAME, 1)})
        for s in samples
    ]
    return [
        _refined(s, shuffler) if s.category in GROUPS and "," not in s.answer_text else s
        for s in renamed
    ]


def _refined(sample: Sample, shuffler: random.Random) -> Sample:
    term, question = sample.answer_text, sample.question
    options = list(_group(sample, term))
    if len(options) == 1:
        question = f"Is the {sample.category.replace('_', ' ')} of this shot {term}?"
        options, term = ["yes", "no"], "yes"
    shuffler.shuffle(options)
    return Sample.model_validate(
        {
            **sample.model_dump(),
            "question": question,
            "options": tuple(options),
            "answer": LETTERS[options.index(term)],
            "provenance": {**sample.provenance, "refined": "true"},
        }
    )


def _group(sample: Sample, term: str) -> tuple[str, ...]:
    for group in GROUPS[sample.category]:
        if term in group:
            return group
    raise AnnotationsError(
        f"sample {sample.id!r}: no group of {sample.category} holds {term!r}; "
        "is this ShotBench's own test.tsv?"
    )
