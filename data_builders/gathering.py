"""Where each source's questions come from, and what they are for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

from data_builders import folder, sources
from data_builders.progress import Meter
from data_builders.sample import Sample
from data_builders.source_specs import CameraBenchSpec, FolderSpec, ShotQaSpec, SourceName
from data_builders.specs import Spec, SyntheticSpec
from data_builders.synthetic.build import build as build_synthetic
from data_builders.teaching import TeachingConfig

Use = Literal["sft", "rl", "test"]
USES: tuple[Use, ...] = get_args(Use)
Questions = dict[Use, list[Sample]]
"""A source's questions by what they are for."""


class BuildConfig(Spec):
    """What the stage reads and writes."""

    sources: tuple[SourceName, ...]
    weights: dict[SourceName, float] | None
    camerabench: CameraBenchSpec | None
    shotqa: ShotQaSpec | None
    folder: FolderSpec | None
    synthetic: SyntheticSpec | None
    teaching: TeachingConfig | None
    bare_answers: bool
    """SFT imitates answers alone: questions without a trace teach as well."""
    downloads: Path
    max_quarantined: float
    workers: int
    seed: int
    out: Path


def by_use(samples: Sequence[Sample], bare_answers: bool = False) -> Questions:
    """Held-out questions are for testing; of the others, those with a trace teach in SFT.

    With `bare_answers` those without one teach too.
    """
    train = [s for s in samples if s.split == "train"]
    return {
        "sft": [s for s in train if bare_answers or s.think is not None],
        "rl": [s for s in train if s.think is None],
        "test": [s for s in samples if s.split == "test"],
    }


def _synthetic(config: BuildConfig) -> Questions:
    assert config.synthetic is not None  # a rule of the recipe
    meter = _meter(config, "rendering clips")
    return by_use(list(build_synthetic(config.synthetic, config.out, config.workers, meter)))


def _camerabench(config: BuildConfig) -> Questions:
    assert config.camerabench is not None
    spec, root = config.camerabench, config.downloads
    meter = _meter(config, "fetching training clips")
    train = sources.camerabench_train(root, spec.train_annotations, spec.rl_questions, meter)
    meter = _meter(config, "fetching test clips")
    test = sources.camerabench_test(root, spec.vqa, meter)
    return by_use([*train, *test], config.bare_answers)


def _shotqa(config: BuildConfig) -> Questions:
    assert config.shotqa is not None
    spec, meter = config.shotqa, _meter(config, "fetching ShotQA")
    train = sources.shotqa_train(config.downloads, spec.sft_file, spec.rl_file, meter)
    return {"sft": train["sft"], "rl": train["rl"], "test": []}


def _folder(config: BuildConfig) -> Questions:
    assert config.folder is not None
    return by_use(folder.questions(config.folder.questions), config.bare_answers)


def _published(
    fetch: Callable[[Path, Meter], list[Sample]], what: str
) -> Callable[[BuildConfig], Questions]:
    return lambda config: by_use(fetch(config.downloads, _meter(config, f"fetching {what}")))


GATHER: dict[SourceName, Callable[[BuildConfig], Questions]] = {
    "camerabench": _camerabench,
    "shotqa": _shotqa,
    "folder": _folder,
    "synthetic": _synthetic,
    "shotbench": _published(sources.shotbench_test, "ShotBench"),
    "shotbench_camera_movement": _published(sources.shotbench_movement, "ShotBench"),
    "refineshot": _published(sources.refineshot_test, "ShotBench"),
    "motionbench_camera": _published(sources.motionbench_test, "MotionBench"),
}


def _meter(config: BuildConfig, what: str) -> Meter:
    return Meter(config.out / "progress.jsonl", what)
