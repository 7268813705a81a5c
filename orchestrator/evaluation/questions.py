"""Which questions are asked about which clips."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from data_builders.frames import FrameIndex
from data_builders.sample import Sample, read_samples
from orchestrator.evaluation.config import EvalConfig, EvaluationError

Condition = Literal["shown", "swapped"]
"""`shown`: the clip that the question is about. `swapped`: one of another category."""


class Question(NamedTuple):
    """A sample and the clip it is asked about."""

    sample: Sample
    clip: str
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
    samples = [sample for sample in select(config, benchmark) if sample.clip in index.clips]
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
    questions = [Question(sample, sample.clip, "shown") for sample in samples]
    if swap:
        clips = swapped_clips(samples, seed)
        questions += [Question(sample, clips[sample.id], "swapped") for sample in samples]
    return sorted(questions, key=lambda question: question.clip)


def swapped_clips(samples: Sequence[Sample], seed: int) -> dict[str, str]:
    """For each sample id, a clip that no question of the sample's category is about.

    Where every other clip has such a question (CameraBench asks all its binary questions about
    most clips), any other clip will do. `EvaluationError` where there is only one clip.
    """
    rng = random.Random(seed)
    categories: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        categories[sample.clip].add(sample.category)
    clips = sorted(categories)
    if len(clips) < 2:
        raise EvaluationError(
            "the swapped-clip control needs two clips; set eval.swap_control=false"
        )
    foreign = {
        category: [clip for clip in clips if category not in categories[clip]]
        for category in {sample.category for sample in samples}
    }
    return {s.id: _other(rng, foreign[s.category] or clips, s.clip) for s in samples}


def _other(rng: random.Random, clips: Sequence[str], own: str) -> str:
    while (clip := rng.choice(clips)) == own:
        pass
    return clip
