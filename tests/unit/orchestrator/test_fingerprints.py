"""A result is known by what decides it, and by nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan import digests
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.values import OUT, Joined, Output, RunTime, Source, UserFile
from orchestrator.recipe import load_recipe
from orchestrator.run import store
from tests.unit.orchestrator.finished import finished_run

RUN_TIME = {
    "cluster.cpus_per_stage": 2,
    "cluster.pin": "trainer",
    "data.cache_dir": "elsewhere/frames",
    "data.download_dir": "elsewhere/downloads",
    "data.max_quarantined": 0.5,
    "data.workers": 7,
    "eval.engines": 2,
    "expected": "a while",
    "loggers": "[wandb]",
    "name": "other",
    "recovery.max_attempts": 9,
    "recovery.stall_minutes": 9,
    "review.port": 9999,
    "review.sample": 9,
    "rl.keep_every": 2,
    "rl.keep_last": 5,
    "rl.save_every": 15,
    "sft.keep_last": 9,
    "sft.loader_workers": 0,
    "sft.log_every": 1,
    "sft.save_every": 100,
}
"""Keys that say how a stage runs, and not what comes of it."""


def plan_of(runs: Path, *overrides: str, recipe: str = "tiny") -> Plan:
    return make_plan(load_recipe(recipe, overrides), runs)


def prints(plan: Plan) -> dict[str, str]:
    """By stage; the report prints the recipe, so that any key changes it."""
    return {s.name: s.fingerprint for s in plan.stages if s.name != "report"}


@pytest.mark.parametrize(("key", "value"), RUN_TIME.items())
def test_how_a_stage_runs_decides_no_result(key: str, value: object, tmp_path: Path) -> None:
    before, after = plan_of(tmp_path), plan_of(tmp_path, f"{key}={value}")
    assert before.recipe != after.recipe
    assert prints(before) == prints(after)


def test_where_the_runs_are_decides_no_result(tmp_path: Path) -> None:
    assert prints(plan_of(tmp_path / "a")) == prints(plan_of(tmp_path / "b c" / "é"))


@pytest.mark.parametrize("place", ["plain", "two words", "é", 'quote"s', "a$b"])
def test_a_path_of_any_letters_keeps_its_stages_and_arrives_whole(
    place: str, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path / place)
    assert [stage.name for stage in plan.until("rl")] == ["data", "model", "sft", "rl"]
    stage = plan.stage("rl")
    overrides = json.loads(stage.files[str(stage.directory / "train.json")])["overrides"]
    policy = plan.stage("sft").directory / "step-600"
    assert overrides["actor_rollout_ref.model.path"] == str(policy)


FOLDER = "data.sources=[synthetic,folder]"
JUDGE = "eval.judge={endpoint: {model: m, temperature: 0.0}, benchmarks: [held_out], "
USER_FILES = {
    "data.folder.questions": [FOLDER, "data.folder={clips: DIR, questions: FILE}"],
    "data.folder.clips": [FOLDER, "data.folder={clips: DIR, questions: nowhere.csv}"],
    "model.path": ["model.build=null", "model.path=DIR"],
    "eval.models.x.path": ["eval.models={x: {path: DIR}}"],
    "eval.models.x.predictions": ["eval.models={x: {predictions: {held_out: FILE}}}"],
    "eval.judge.labels": [JUDGE + "labels: FILE, failures_in_a_row: 9}"],
    "eval.external_path": ["eval.external=[vsibench]", "eval.external_path=DIR"],
    "rl.reward.function": ["rl.reward.function=CODE"],
    "eval.benchmarks": ["eval.benchmarks=[held_out,CODE]"],
}


@pytest.mark.parametrize("key", USER_FILES)
@pytest.mark.parametrize("home", ["~", ""])
def test_a_users_file_counts_by_its_content(
    key: str, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "mine"
    folder.mkdir()
    named = f"{home or tmp_path}/mine"
    places = {"DIR": named, "FILE": f"{named}/f.jsonl", "CODE": f"{folder}/reward.py:score"}
    overrides = USER_FILES[key]
    for word, place in places.items():
        overrides = [override.replace(word, f"'{place}'") for override in overrides]
    (folder / "f.jsonl").write_text("{}\n")
    (folder / "reward.py").write_text("def score(*words, **settings):\n    return 1\n")
    before = prints(plan_of(tmp_path, *overrides))
    assert prints(plan_of(tmp_path, *overrides)) == before
    (folder / "f.jsonl").write_text('{"changed": 1}\n')
    (folder / "reward.py").write_text("def score(*words, **settings):\n    return 2\n")
    assert prints(plan_of(tmp_path, *overrides)) != before


def test_a_hub_models_revision_counts(tmp_path: Path) -> None:
    given = [plan_of(tmp_path, f"model.revision={r}", recipe="camreasoner_7b") for r in "ab"]
    assert prints(given[0])["model"] != prints(given[1])["model"]


def test_a_result_without_the_checkpoint_that_is_named_now_is_made_anew(tmp_path: Path) -> None:
    kept = {"sft": [f"step-{n}/config.json" for n in (200, 400, 600, 800)]}
    done = finished_run(tmp_path, "tiny", stages=("data", "model", "sft"), leaving=kept)
    same = plan_of(tmp_path, "stages.rl.start=sft:step:400", "sft.save_every=400")
    assert same.stage("sft").directory == done.stage("sft").directory
    other = plan_of(tmp_path, "stages.rl.start=sft:step:300", "sft.save_every=100")
    assert other.stage("sft").directory != done.stage("sft").directory
    assert not store.is_done(other.stage("sft")) and store.is_done(other.stage("model"))


def stage(name: str, tree: object, *inputs: object) -> Stage:
    from orchestrator.plan.stage import Resources

    return Stage(name, Path("/store"), (), {"config.json": [tree, *inputs]}, Resources(1))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_what_is_for_run_time_is_rendered_and_not_hashed(value: object) -> None:
    plain, told = stage("a", {"x": 1}), stage("a", {"x": 1, "workers": RunTime(value)})
    assert plain.fingerprint == told.fingerprint
    assert json.loads(told.files[str(told.directory / "config.json")])[0]["workers"] == value


def test_paths_are_named_by_stage_not_by_place() -> None:
    first = stage("a", 1)
    second = stage("b", {"from": Output(first, "x"), "own": Joined((OUT / "y", ":f"))})
    assert second.inputs == (first,) and second.needs == (first.directory / "x",)
    text = json.loads(second.files[str(second.directory / "config.json")])[0]
    assert text == {"from": f"{first.directory}/x", "own": f"{second.directory}/y:f"}
    other = stage("b", {"from": Output(stage("a", 2), "x"), "own": Joined((OUT / "y", ":f"))})
    assert second.ingredients["file config.json"] == other.ingredients["file config.json"]
    assert second.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("def f(x):  # a comment\n    return x\n", True),
        ('"""A docstring."""\n\n\ndef f(x):\n    "Another."\n\n    return x\n', True),
        ("def f(x): return x\n", True),
        ("def f(x):\n    return x + 1\n", False),
        ("def f(y):\n    return y\n", False),
    ],
)
def test_code_counts_by_what_it_does(text: str, same: bool) -> None:
    assert (digests.of_source(text) == digests.of_source("def f(x):\n    return x\n")) is same
    hashes = [stage("a", Source(t)).fingerprint for t in (text, "def f(x):\n    return x\n")]
    assert (hashes[0] == hashes[1]) is same


def test_what_lies_beside_code_counts_too() -> None:
    names = {p.suffix for p in (digests.CODE / "orchestrator/evaluation").rglob("*") if p.is_file()}
    assert {".yaml", ".jsonl"} <= names
    before = digests.of_code("orchestrator/evaluation")
    published = digests.CODE / "orchestrator/evaluation/published.yaml"
    read = digests.sha256
    digests._of_code.cache_clear()
    digests.sha256 = lambda path: "changed" if path == published else read(path)
    try:
        assert digests.of_code("orchestrator/evaluation") != before
    finally:
        digests.sha256 = read
        digests._of_code.cache_clear()


def test_a_folder_of_which_some_files_count(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    before = UserFile(tmp_path, ("a",)).digest
    (tmp_path / "b").write_text("other")
    assert UserFile(tmp_path, ("a",)).digest == before
    (tmp_path / "a").write_text("other")
    assert UserFile(tmp_path, ("a",)).digest != before
