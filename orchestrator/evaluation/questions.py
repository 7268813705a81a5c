"""Which questions are asked about which pictures."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
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
    """The benchmark's samples of this evaluation, in file order.

    `EvaluationError` where there are none, or two with the same id.
    """
    path = config.benchmarks[benchmark].samples
    samples = read_samples(path)
    if not samples:
        raise EvaluationError(f"{path} holds no questions: build more held-out ones")
    repeated = [name for name, n in Counter(sample.id for sample in samples).items() if n > 1]
    if repeated:
        raise EvaluationError(
            f"{path}: {len(repeated)} sample ids occur twice, such as {repeated[0]!r}; "
            "ids must be unique for answers to be kept apart"
        )
    if config.max_questions is None or config.max_questions >= len(samples):
        return samples
    kept = set(random.Random(config.seed).sample(range(len(samples)), config.max_questions))
    return [sample for number, sample in enumerate(samples) if number in kept]


def ask(samples: Sequence[Sample], swap: bool, seed: int) -> list[Question]:
    """Every question, those on one clip side by side so that its frames are prepared once."""
    questions = [Question(sample, sample.media, "shown") for sample in samples]
    if swap:
        others = swapped(samples, seed)
        questions += [Question(sample, others[sample.id], "swapped") for sample in samples]
    return sorted(questions, key=lambda question: names(question.media))


def swapped(samples: Sequence[Sample], seed: int) -> dict[str, Media]:
    """For each sample id, what no question of the sample's category is about: an image for an
    image, a video for a video. A text has nothing to swap.

    Where all else has such a question (CameraBench asks all its binary questions about most
    clips), anything else will do. `EvaluationError` where there is nothing else.
    """
    rng = random.Random(seed)
    categories: dict[Media, set[str]] = defaultdict(set)
    for sample in samples:
        categories[sample.media].add(sample.category)
    alike: dict[tuple[Kind, ...], list[Media]] = defaultdict(list)
    for media in sorted(categories, key=names):
        alike[_kinds(media)].append(media)

    @cache
    def others(kinds: tuple[Kind, ...], category: str) -> list[Media]:
        foreign = [media for media in alike[kinds] if category not in categories[media]]
        return foreign or alike[kinds]

    return {s.id: _other(rng, others(_kinds(s.media), s.category), s) for s in samples}


def _kinds(media: Media) -> tuple[Kind, ...]:
    return tuple(item.kind for item in media)


def _other(rng: random.Random, choice: Sequence[Media], sample: Sample) -> Media:
    if not sample.media:
        return ()
    if all(media == sample.media for media in choice):
        raise EvaluationError(
            f"nothing but {names(sample.media)!r} of sample {sample.id!r} is like it, and the "
            "swapped-clip control needs two; set eval.swap_control=false"
        )
    while (media := rng.choice(choice)) == sample.media:
        pass
    return media
