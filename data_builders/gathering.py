"""Where each source's questions come from, and what they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_builders import folder, sources
from data_builders.annotations import AnnotationsError
from data_builders.progress import Meter
from data_builders.sample import Sample
from data_builders.source_specs import (
    CameraBenchSpec,
    FilesSpec,
    FolderSpec,
    ShotQaSpec,
    SourceName,
)
from data_builders.specs import Spec, SyntheticSpec
from data_builders.synthetic.build import build as build_synthetic
from data_builders.teaching import TeachingConfig
from reward_plugins.own import OwnCodeError, load_function

USES = ("sft", "rl", "test")
"""Question sets that are written whether or not a source has any; others as they come."""
Questions = dict[str, list[Sample]]
"""A source's questions by the set they belong to."""


class BuildConfig(Spec):
    """What the stage reads and writes."""

    sources: tuple[SourceName, ...]
    weights: dict[SourceName, float] | None
    camerabench: CameraBenchSpec | None
    shotqa: ShotQaSpec | None
    folder: FolderSpec | None
    files: dict[SourceName, FilesSpec] | None
    synthetic: SyntheticSpec | None
    teaching: TeachingConfig | None
    tags: tuple[str, ...]
    """Blocks that SFT imitates; none where questions without a trace teach as well."""
    scored: tuple[str, ...] = ()
    """Question sets whose answers the recipe's own graders score."""
    open_tasks: tuple[str, ...] = ()
    """Tasks that are graded by more than an option's letter: theirs may have no options."""
    downloads: Path
    max_quarantined: float
    workers: int
    seed: int
    out: Path


@dataclass(frozen=True)
class Gathered:
    """What a source brings: questions, and the folder that their clips are in.

    Clips lie in `clips` without `prefix`; None where they are beside the samples already.
    """

    questions: Questions
    clips: Path | None
    prefix: str = ""


def by_use(samples: Sequence[Sample], tags: Sequence[str]) -> Questions:
    """Held-out questions are for testing; of the others, those with a trace teach in SFT.

    Without `tags` those without a trace teach too.
    """
    train = [s for s in samples if s.split == "train"]
    return {
        "sft": [s for s in train if not tags or s.think is not None],
        "rl": [s for s in train if s.think is None],
        "test": [s for s in samples if s.split == "test"],
    }


def gather(name: SourceName, config: BuildConfig) -> Gathered:
    """The questions of the source `name`, fetched, read or made.

    Raises `AnnotationsError` or `FetchError`, `OwnCodeError` for a function that returns something
    else.
    """
    if name in GATHER:
        gathered = GATHER[name](config)
    elif name in (config.files or {}):
        gathered = _files(name, config)
    else:
        gathered = _own(name, config)
    check_questions(gathered.questions, config)
    return gathered


def check_questions(questions: Questions, config: BuildConfig) -> None:
    """Raise `AnnotationsError` for a question that a stage could not use."""
    check_traces(questions.get("sft", []), config.tags)
    for sample in (s for use in config.scored for s in questions.get(use, [])):
        if not sample.options and sample.task not in config.open_tasks:
            raise AnnotationsError(
                f"sample {sample.id!r} ({sample.provenance.get('row', sample.clip)}) has no "
                f"options, and its task {sample.task!r} is graded by their letters: give it "
                f"options, or say in tasks.{sample.task}.grader what scores it"
            )


def check_ids(gathered: Mapping[SourceName, Gathered]) -> None:
    """Raise `AnnotationsError` for an id of two sources: answers could not be kept apart."""
    owners: dict[str, SourceName] = {}
    for name, own in gathered.items():
        for sample in (sample for rows in own.questions.values() for sample in rows):
            if (other := owners.setdefault(sample.id, name)) != name:
                raise AnnotationsError(
                    f"sample {sample.id!r} is in two of data.sources, {other} and {name}: take one "
                    "out, or give its questions other ids"
                )


def check_traces(samples: Sequence[Sample], tags: Sequence[str]) -> None:
    """Raise `AnnotationsError` for a sample without one of the blocks that SFT imitates."""
    for sample in samples:
        blocks = {"observation": sample.observation, "think": sample.think, "answer": sample.answer}
        if lacking := [tag for tag in tags if not blocks.get(tag)]:
            raise AnnotationsError(
                f"sample {sample.id!r} ({sample.provenance.get('row', sample.clip)}) has no "
                f"{', '.join(lacking)}, which sft.prompt.tags asks for: give it, leave its trace "
                "out, or take the tag out of sft.prompt.tags"
            )


def _synthetic(config: BuildConfig) -> Gathered:
    assert config.synthetic is not None  # a rule of the recipe
    meter = _meter(config, "rendering clips")
    samples = list(build_synthetic(config.synthetic, config.out, config.workers, meter))
    return Gathered(by_use(samples, config.tags), None)


def _camerabench(config: BuildConfig) -> Gathered:
    assert config.camerabench is not None
    spec, root = config.camerabench, config.downloads
    samples = sources.camerabench_test(root, spec.vqa, _meter(config, "fetching test clips"))
    if spec.train_annotations is not None:
        meter = _meter(config, "fetching training clips")
        samples += sources.camerabench_train(root, spec.train_annotations, meter)
    return Gathered(by_use(samples, config.tags), root)


def _shotqa(config: BuildConfig) -> Gathered:
    assert config.shotqa is not None
    spec, meter = config.shotqa, _meter(config, "fetching ShotQA")
    train = sources.shotqa_train(config.downloads, spec.sft_file, spec.rl_file, meter)
    return Gathered({"sft": train["sft"], "rl": train["rl"], "test": []}, config.downloads)


def _folder(config: BuildConfig) -> Gathered:
    assert config.folder is not None
    samples = folder.questions(config.folder.questions)
    return Gathered(by_use(samples, config.tags), config.folder.clips, folder.PREFIX)


def _files(name: SourceName, config: BuildConfig) -> Gathered:
    assert config.files is not None
    spec, place = config.files[name], Path(config.files[name].collection or name) / name
    meter = _meter(config, f"fetching {name}")
    home, most = config.downloads / place, config.max_quarantined
    questions, clips = sources.files(name, spec, home, most, meter)
    prefix = f"{place.as_posix()}/"
    placed = {
        use: [_below(prefix, sample) for sample in samples] for use, samples in questions.items()
    }
    return Gathered(placed, clips, prefix)


def _below(prefix: str, sample: Sample) -> Sample:
    media = [item.model_copy(update={"path": prefix + item.path}) for item in sample.media]
    return sample.model_copy(update={"media": tuple(media)})


def _own(name: SourceName, config: BuildConfig) -> Gathered:
    """A function of the user's own: it puts clips below the folder that it is handed."""
    questions = load_function(name)(config.out)
    if not isinstance(questions, dict) or not any(questions.values()):
        raise OwnCodeError(f"{name}: returned no question sets (name → data_builders.Sample)")
    for use, samples in questions.items():
        if strange := [s for s in samples if not isinstance(s, Sample)]:
            raise OwnCodeError(f"{name}: its set {use!r} holds {strange[0]!r:.80}, no Sample")
    return Gathered({use: list(samples) for use, samples in questions.items()}, None)


def _published(
    fetch: Callable[[Path, Meter], list[Sample]], what: str
) -> Callable[[BuildConfig], Gathered]:
    def gathered(config: BuildConfig) -> Gathered:
        samples = fetch(config.downloads, _meter(config, f"fetching {what}"))
        return Gathered(by_use(samples, config.tags), config.downloads)

    return gathered


GATHER: dict[SourceName, Callable[[BuildConfig], Gathered]] = {
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
