"""Questions of the benchmarks: `python -m orchestrator.evaluation.benchmarks <config.json>`.

Fetches what is published, renders what is synthetic, and writes `<name>.parquet` for each; models
of the Hub that are compared with come along. A new one is a line in `BENCHMARKS` and its
name in `data_builders.source_specs`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from data_builders import sources
from data_builders.fetch import fetch
from data_builders.models import ModelConfig, obtain
from data_builders.progress import Meter, run_command
from data_builders.sample import Sample, write_samples
from data_builders.source_specs import BenchmarkName, Repository
from data_builders.specs import Spec, SyntheticSpec
from data_builders.synthetic.build import build as build_synthetic
from reward_plugins.files import replacement
from reward_plugins.own import OwnCodeError, load_function

log = logging.getLogger(__name__)


class BenchmarksConfig(Spec):
    """What the stage reads and writes."""

    benchmarks: tuple[BenchmarkName, ...]
    own: dict[str, str]
    """By name, `path/to/file.py:function`: it puts clips below the folder that it is given, and
    returns samples whose clips are relative to that folder."""
    synthetic: SyntheticSpec | None
    models: dict[str, ModelConfig]
    """Checkpoints that are compared with and where each is kept, by its folder below `out`."""
    predictions: dict[str, tuple[Repository, Path]]
    """Answers that others published and where they are kept, by their folder below `out`."""
    downloads: Path
    """Where published questions and clips are kept; clip paths are relative to it."""
    workers: int
    out: Path


class Benchmark(NamedTuple):
    """Where a set of questions comes from, and how answers to it are read."""

    fetch: Callable[[BenchmarksConfig, Meter], Iterable[Sample]]
    matching: Literal["strict", "as_released"] | None = None
    """None reads answers as the recipe does."""


def _camerabench(dataset: str, vqa: sources.VqaBuild = "match") -> Benchmark:
    def fetch(config: BenchmarksConfig, meter: Meter) -> Iterable[Sample]:
        samples = sources.camerabench_test(config.downloads, vqa, meter)
        return [sample for sample in samples if sample.dataset == dataset]

    return Benchmark(fetch)


def _published(questions: Callable[[Path, Meter], list[Sample]]) -> Benchmark:
    return Benchmark(lambda config, meter: questions(config.downloads, meter))


def _synthetic(config: BenchmarksConfig, meter: Meter) -> Iterable[Sample]:
    assert config.synthetic is not None  # a rule of the recipe
    return build_synthetic(config.synthetic, config.out, config.workers, meter)


BENCHMARKS: dict[BenchmarkName, Benchmark] = {
    "camerabench_binary": _camerabench("camerabench_binary"),
    "camerabench_vqa": _camerabench("camerabench_vqa_match"),
    "camerabench_vqa_as_released": _camerabench("camerabench_vqa_as_released", "as_released"),
    "camerabench_vqa_yes_no": _camerabench("camerabench_vqa_yes_no", "yes_no"),
    "shotbench": _published(sources.shotbench_test),
    "shotbench_camera_movement": _published(sources.shotbench_movement),
    "refineshot": _published(sources.refineshot_test),
    "motionbench_camera": _published(sources.motionbench_test),
    "synthetic": Benchmark(_synthetic),
}


def build(config: BenchmarksConfig) -> dict[str, int]:
    """Write the questions of every benchmark and return their numbers; fetch the models."""
    progress = config.out / "progress.jsonl"
    for name, model in config.models.items():
        obtain(model, Meter(progress, f"fetching {model.path}"))
        _link(config.out / "models" / name, model.out)
    for name, (repository, folder) in config.predictions.items():
        fetch(repository, folder, Meter(progress, f"fetching {repository.repo}"))
        _link(config.out / "predictions" / name, folder)
    counts: dict[str, int] = {}
    for name in config.benchmarks:
        samples = BENCHMARKS[name].fetch(config, Meter(progress, f"fetching {name}"))
        counts[name] = write_samples(config.out / f"{name}.parquet", samples)
    for own, function in config.own.items():
        counts[own] = write_samples(config.out / f"{own}.parquet", _own(function, config.out))
    return counts


def _link(path: Path, kept: Path) -> None:
    """Name in the stage what is kept for all runs."""
    with replacement(path) as link:
        link.symlink_to(kept.resolve())


def _own(function: str, folder: Path) -> Iterable[Sample]:
    samples = list(load_function(function)(folder))
    if not samples or not all(isinstance(sample, Sample) for sample in samples):
        raise OwnCodeError(f"{function}: returned no samples (data_builders.Sample)")
    return samples


def main(arguments: list[str]) -> int:
    """Read the config named on the command line and build; the exit status."""
    config = BenchmarksConfig.model_validate_json(Path(arguments[0]).read_text())

    def command() -> None:
        for name, count in build(config).items():
            log.info("%s: %s questions", name, f"{count:,}")

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
