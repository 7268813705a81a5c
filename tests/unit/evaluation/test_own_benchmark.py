"""A benchmark of a user's own: one file, one line of the recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_builders.frames import materialise
from data_builders.sample import read_samples
from orchestrator.errors import RecipeError
from orchestrator.evaluation.benchmarks import BenchmarksConfig, build
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from reward_plugins.own import OwnCodeError

EXAMPLE = "examples/benchmarks/still_or_moving.py:still_or_moving"


def planned(tmp_path: Path, benchmark: str) -> Plan:
    return make_plan(load_recipe("tiny", [f"eval.benchmarks=[held_out,'{benchmark}']"]), tmp_path)


def test_the_example_is_built_from_the_stages_copy_and_read_by_the_evaluation(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, EXAMPLE)
    stage = plan.stage("benchmarks")
    stage.directory.mkdir(parents=True)
    for name, text in stage.files.items():
        Path(name).write_text(text)
    config = (stage.directory / "benchmarks.json").read_text()
    assert build(BenchmarksConfig.model_validate_json(config)) == {"still_or_moving": 12}

    evaluation = plan.stage("eval")
    read = json.loads(evaluation.files[str(evaluation.directory / "eval.json")])
    named = dict(read["benchmarks"])
    assert list(named) == ["held_out", "still_or_moving"]
    own = named["still_or_moving"]
    samples = read_samples(Path(own["samples"]))
    assert {sample.answer for sample in samples} == {"A", "B"}
    recipe = load_recipe("tiny")
    clips = {sample.clip for sample in samples}
    index = materialise(clips, Path(own["clips"]), tmp_path / "cache", recipe.frames, workers=2)
    assert index.clips.keys() == clips


def test_a_change_of_the_file_makes_the_benchmark_and_what_reads_it_stale(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def mine(folder):\n    return []\n")
    before = planned(tmp_path, f"{own}:mine").stages
    own.write_text("def mine(folder):\n    return [1]\n")
    after = planned(tmp_path, f"{own}:mine").stages
    pairs = zip(before, after, strict=True)
    changed = [b.name for b, a in pairs if b.fingerprint != a.fingerprint]
    assert changed == ["benchmarks", "eval", "report"]


@pytest.mark.parametrize("body", ["[]", "[1]"])
def test_what_is_no_sample_is_refused(body: str, tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(f"def mine(folder):\n    return {body}\n")
    config = BenchmarksConfig(
        benchmarks=(), own={"mine": f"{own}:mine"}, synthetic=None, models={}, predictions={},
        downloads=tmp_path, workers=1, out=tmp_path,
    )  # fmt: skip
    with pytest.raises(OwnCodeError, match="returned no samples"):
        build(config)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[nowhere.py:mine]", "eval.benchmarks: no file"),
        ("[camerabench]", "camerabench_binary"),
        (f"['{EXAMPLE}','{ROOT}/{EXAMPLE}']", "names something twice"),
    ],
)
def test_a_benchmark_that_is_not_there_is_a_mistake_of_the_recipe(given: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe("tiny", [f"eval.benchmarks={given}"])
