"""Which questions are asked about which pictures."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from data_builders.frames import FrameIndex
from data_builders.media import Item, Kind, names
from data_builders.sample import Sample, read_samples
from orchestrator.evaluation.config import EvalConfig, EvaluationError

Condition = Literal["shown", "swapped"]
"""`shown`: what the question is about. `swapped`: what one of another category is about."""
Media = tuple[Item, ...]


class Question(NamedTuple):
    """A sample and what it is asked about."""

    sample: Sample
    media: Media
    condition: Condition


class Asked(NamedTuple):
    """The questions of one benchmark whose clips are readable, and their frames."""

    benchmark: str
    samples: list[Sample]
    frames: FrameIndex

    def questions(self, config: EvalConfig) -> list[Question]:
        """Every question under every condition."""
        return ask(self.samples, config.swap_control, config.seed)


def asked(config: EvalConfig, benchmark: str) -> Asked:
    """The benchmark as `prepare` left it, without the questions whose clip is quarantined."""
    index = FrameIndex.read(config.index_path(benchmark), config.frames)
    samples = [sample for sample in select(config, benchmark) if index.holds(sample.media)]
    return Asked(benchmark, samples, index)


def select(config: EvalConfig, benchmark: str) -> list[Sample]:
    """The benchmark's samples of this evaluation, in file order."""
    return draw(config.benchmarks[benchmark].samples, config.max_questions, config.seed)


def draw(path: Path, most: int | None, seed: int) -> list[Sample]:
    """The samples at `path`, or a seeded draw of so many, in file order.

    `EvaluationError` where there are none, or two with the same id.
    """
    samples = read_samples(path)
    if not samples:
        raise EvaluationError(f"{path} holds no questions: build more of them")
    repeated = [name for name, n in Counter(sample.id for sample in samples).items() if n > 1]
    if repeated:
        raise EvaluationError(
            f"{path}: {len(repeated)} sample ids occur twice, such as {repeated[0]!r}; "
            "ids must be unique for answers to be kept apart"
        )
    if most is None or most >= len(samples):
        return samples
    kept = set(random.Random(seed).sample(range(len(samples)), most))
    return [sample for number, sample in enumerate(samples) if number in kept]


def ask(samples: Sequence[Sample], swap: bool, seed: int) -> list[Question]:
    """Every question, those on one clip side by side so that its frames are prepared once."""
    questions = [Question(sample, sample.media, "shown") for sample in samples]
    if swap:
        others = swapped(samples, seed)
        questions += [Question(sample, others[sample.id], "swapped") for sample in samples]
    return sorted(questions, key=lambda question: names(question.media))


def swapped(samples: Sequence[Sample], seed: int) -> dict[str, Media]:
    """For each sample id, items that no question of the sample's category is about: an image for
    each image, a video for each video. A text has nothing to swap.

    Where all else has such a question (CameraBench asks all its binary questions about most
    clips), anything else will do. `EvaluationError` where there is nothing else.
    """
    rng = random.Random(seed)
    categories: dict[Item, set[str]] = defaultdict(set)
    for sample in samples:
        for item in sample.media:
            categories[item].add(sample.category)
    items = sorted(categories, key=lambda item: item.name)

    @cache
    def others(kind: Kind, category: str) -> list[Item]:
        alike = [item for item in items if item.kind == kind]
        return [item for item in alike if category not in categories[item]] or alike

    return {
        s.id: tuple(_other(rng, others(item.kind, s.category), s) for item in s.media)
        for s in samples
    }


def _other(rng: random.Random, choice: Sequence[Item], sample: Sample) -> Item:
    own = {item.path for item in sample.media}
    if own.issuperset(item.path for item in choice):
        raise EvaluationError(
            f"there is nothing else of the kind of {names(sample.media)!r}, of sample "
            f"{sample.id!r}, and the swapped-clip control needs it; set eval.swap_control=false"
        )
    while (item := rng.choice(choice)).path in own:
        pass
    return item
