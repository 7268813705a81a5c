"""What a user is told about runs that are there."""

import json
import os
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.plan.make import Plan
from orchestrator.plan.whole import read_manifest, write_manifest
from orchestrator.run import launch
from orchestrator.run.manifest import result
from orchestrator.verbs.arguments import parse
from orchestrator.verbs.clips import PredictArguments
from tests.unit.orchestrator.finished import finished_run


def told(capsys: pytest.CaptureFixture[str], directory: Path, *arguments: str) -> tuple[int, str]:
    code = cli.main([*arguments, f"runs_dir={directory}"])
    out, err = capsys.readouterr()
    return code, " ".join((out + err).split())


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_show_is_a_page_about_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = finished_run(tmp_path, "first", stages=("data", "model"))
    code, text = told(capsys, tmp_path, "show", "run=first")
    assert code == 0
    assert "data 2027-01-15 08:00 1 min 15 s" in text
    assert "1 files" in text and "commit" in text and "cores of" in text
    clip = plan.stage("data").directory / "result"
    clip.write_text("other")
    os.utime(clip, (3e9, 3e9))
    assert (
        "data: changed since it finished: result" in told(capsys, tmp_path, "show", "run=first")[1]
    )


def test_show_says_which_stages_another_run_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path, "first")
    finished_run(tmp_path, "second")
    assert "first" in told(capsys, tmp_path, "show", "run=second")[1]


def test_an_unknown_run_is_an_error_that_names_those_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path, "first")
    code, text = told(capsys, tmp_path, "show", "run=other")
    assert code == 1 and "other is no run" in text and "runs here: first" in text


def test_diff_names_what_differs_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path, "a")
    finished_run(tmp_path, "b", ["seed=7"])
    code, text = told(capsys, tmp_path, "diff", "run=a,b")
    assert code == 0
    assert "recipe seed 0 7 model.build.seed 0 7 data.synthetic.seed 0 7 result of stage" in text
    assert "packages" not in text and "code" not in text and "machine" not in text
    assert "a and a do not differ" in told(capsys, tmp_path, "diff", "run=a,a")[1]


def test_diff_finds_another_package_and_another_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path, "a")
    plan = finished_run(tmp_path, "b", ["seed=7"])
    folder = plan.stage("data").directory
    freeze = folder / "provenance" / "orchestrator.txt"
    freeze.write_text(freeze.read_text().replace("ray==2.60.0", "ray==2.59.0"))
    code = {"commit": "f" * 40, "dirty": True, "diff": "d" * 64}
    write_manifest(folder, {**read_manifest(folder), "code": code})
    text = told(capsys, tmp_path, "diff", "run=a,b")[1]
    assert "packages of orchestrator ray 2.60.0 2.59.0" in text
    assert "ffffffffffff + patch dddddddd" in text


def test_diff_shows_the_scores_of_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, right in (("a", 30), ("b", 45)):
        finished_run(tmp_path, name, [f"seed={right}"], stages=("data", "eval"))
        shown = {"n": 60, "accuracy": right / 60, "interval": [0.4, 0.8], "rewarded": right / 60}
        shown |= {"format": 1.0, "answered": 1.0, "errors": 0}
        board = {"checkpoints": {"rl": {"shown": {"all": shown}}}, "pairs": [], "n": 60}
        scores = {"benchmarks": {"held_out": board}}
        (tmp_path / name / "eval" / "scores.json").write_text(json.dumps(scores))
    text = told(capsys, tmp_path, "diff", "run=a,b")[1]
    assert "rl 50.0 40.0 to 80.0 75.0 40.0 to 80.0 +25.0" in text


def test_repro_rebuilds_with_the_same_recipe_in_a_store_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = finished_run(tmp_path, "first", ["seed=7"], stages=("data", "model"))

    def again(plan: Plan, stages: object, console: object) -> None:
        made = finished_run(tmp_path / "new", ".", ["seed=7"], stages=("data", "model"))
        assert [s.directory for s in made.stages] == [s.directory for s in plan.stages]
        assert plan.recipe == before.recipe
        model = made.stage("model")
        (model.directory / "result").write_text("another")
        write_manifest(model.directory, {**read_manifest(model.directory), **result(model)})

    monkeypatch.setattr(launch, "launch", again)
    code, text = told(capsys, tmp_path, "repro", "run=first", "name=new")
    assert code == 0
    assert "data: 1 of 1 files equal" in text
    assert "model: 0 of 1 files equal differ: result" in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [("source data_builders/build.py", "data: source"), ("environment orchestrator", "data: env")],
)
def test_repro_refuses_other_code_and_locks_and_shows_the_way_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: str, said: str
) -> None:
    plan = finished_run(tmp_path, "first")
    folder = plan.stage("data").directory
    manifest = read_manifest(folder)
    manifest["ingredients"][changed] = "0" * 32
    manifest["code"] = {"commit": "abcdef" * 6 + "abcd", "dirty": True, "diff": "d" * 64}
    write_manifest(folder, manifest)
    code, text = told(capsys, tmp_path, "repro", "run=first")
    assert code == 1 and said in text
    assert "git worktree add ../camreasoner-abcdefabcdef abcdef" in text
    assert "apply " + str(tmp_path / "first" / "data" / "provenance" / "code.patch") in text
    assert not (tmp_path / "first-repro").exists()


@pytest.mark.parametrize(
    "arguments", [["show", "runs=a"], ["diff", "run=a"], ["clean-runs", "no=true"]]
)
def test_misuse_shows_the_usage(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = told(capsys, tmp_path, *arguments)
    assert code == 1 and f"usage: camreasoner {arguments[0]}" in text


def test_without_a_verb_the_usage_is_shown_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([]) == 2
    assert "<verb> [recipe=<name>] [key=value ...]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["predict", "--help"], "error: usage: camreasoner predict clip=... [key=value ...]"),
        (["show", "tiny"], "write run=tiny"),
        (["diff", "a", "b"], "write run=a"),
        (["publish", "--repo=me/it"], "write repo=me/it"),
        (["predict", "walk.mp4"], "write clip=walk.mp4"),
        (["predict", "clip=walk.mp4", "Is it?"], "write question='Is it?'"),
        (["predict", "clip=walk.mp4", "--options", "a", "b"], "write options=..."),
        (["serve", "--runs", "elsewhere"], "write runs_dir=..."),
        (["plan", "tiny"], "arguments are key=value"),
        (["serve", "prot=1"], "prot: unknown key; did you mean port?"),
        (["predict", "clip=x", "json=yes"], "json=yes: expected true or false"),
        (["predict", "clip=x", "options=[a"], "options=[a: no list in YAML"),
        (["stage", "recipe=tiny"], "stage: missing"),
        (["show", "run=a", "run=b"], "run: given 2 different values"),
    ],
)
def test_every_verb_takes_key_value_and_says_what_to_write_instead(
    words: list[str], instead: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = told(capsys, tmp_path, *words)
    assert code == 1 and instead in text


@pytest.mark.parametrize("text", ["it's a=b, is it?", "[left", "é  ü", ""])
def test_a_value_arrives_as_it_is(text: str) -> None:
    own = parse("predict", PredictArguments, [f"clip={text}", f"question={text}"])
    assert (own.clip, own.question) == (text, text)


def test_a_list_is_split_at_commas_unless_it_is_yaml() -> None:
    def options(text: str) -> tuple[str, ...]:
        return parse("predict", PredictArguments, ["clip=x", f"options={text}"]).options

    assert options("pan left, pan right") == ("pan left", "pan right")
    assert options('["a, b", c, 1]') == ("a, b", "c", "1")
