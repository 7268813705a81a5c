"""Ablations: arms share what is equal, outlive each other's failures, and end in one table."""

import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import rich.console

from orchestrator.ablate import arms as ablations
from orchestrator.ablate.arms import run_arms
from orchestrator.ablate.sweep import Arm, expand, load_sweep
from orchestrator.cli import main
from orchestrator.console import Console
from orchestrator.errors import RecipeError, StageError
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import ROOT, Command, Resources, Stage
from orchestrator.recipe.load import RECIPES
from orchestrator.report import ablation
from orchestrator.run import store
from orchestrator.verbs.sweeps import ablate
from tests.unit.orchestrator.finished import with_values

SWEEPS = sorted(path.stem for path in (RECIPES / "sweep").glob("*.yaml"))


def arms_of(
    runs_dir: Path, sweep: str, *overrides: str, seeds: Sequence[int] = (), recipe: str = "tiny"
) -> tuple[list[Arm], str]:
    return expand(load_sweep(sweep), recipe, overrides, seeds, runs_dir, runs_dir / "sweep")


class Launches:
    """Stands for `launch`: finishes what is not done, counts it, and fails where it is told to."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failing: set[str] = set()

    def __call__(self, plan: Plan, stages: Sequence[Stage], console: Console) -> None:
        for stage in stages:
            if store.is_done(stage):
                continue
            self.counts[stage.name] += 1
            if stage.fingerprint in self.failing:
                raise StageError(f"stage {stage.name!r} died")
            for policy in plan.recipe.policies:
                if policy.stage == stage.name:
                    (stage.directory / policy.folder).mkdir(parents=True)
            stage.directory.mkdir(parents=True, exist_ok=True)
            store.finish(stage, {})


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    fake = Launches()
    monkeypatch.setattr("orchestrator.run.launch.launch", fake)
    return fake


@pytest.mark.parametrize("sweep", SWEEPS)
@pytest.mark.parametrize("recipe", ["tiny", "camreasoner_7b"])
def test_every_sweep_expands_over_the_papers_recipe_and_the_tiny_one(
    sweep: str, recipe: str, tmp_path: Path
) -> None:
    arms, reference = arms_of(tmp_path, sweep, recipe=recipe)
    assert len({arm.plan.stage("rl").fingerprint for arm in arms}) == len(arms) >= 3
    assert len({arm.plan.directory for arm in arms}) == len(arms)
    assert reference in [arm.label for arm in arms]


@pytest.mark.parametrize(
    ("sweep", "own"),
    [
        ("format_weight", "0.1"),
        ("group_size", "8"),
        ("ema_beta", "0.99"),
        ("sft_epoch", "sft:epoch:2"),
    ],
)
def test_the_papers_own_value_is_the_reference(sweep: str, own: str, tmp_path: Path) -> None:
    assert arms_of(tmp_path, sweep, recipe="camreasoner_7b")[1] == own


def test_the_papers_row_is_the_papers() -> None:
    expected = {"0.0": 0.746, "0.1": 0.784, "0.3": 0.759, "0.5": 0.714}
    assert load_sweep("format_weight").expected("binary") == pytest.approx(expected)
    chosen = load_sweep("group_size", [4, 8])
    assert chosen.expected("multiple_choice") == pytest.approx({"4": 0.723, "8": 0.745})
    assert load_sweep("group_size", [4, 6]).expected("binary") == {}


def test_the_std_arm_has_its_own_overrides(tmp_path: Path) -> None:
    arms, _ = arms_of(tmp_path, "ema_beta")
    ema = arms[0].plan.recipe.rl.ema
    assert (arms[0].label, ema.beta, ema.statistic) == ("std", 0.0, "std")


def test_rl_starts_from_the_epoch_of_its_arm(tmp_path: Path) -> None:
    arms, _ = arms_of(tmp_path, "sft_epoch", recipe="camreasoner_7b")
    sft = arms[0].plan.stage("sft").directory
    for number, arm in enumerate(arms, start=1):
        stage = arm.plan.stage("rl")
        config = json.loads(stage.files[str(stage.directory / "train.json")])
        path = config["overrides"]["actor_rollout_ref.model.path"]
        assert path == f"{sft}/epoch-{number}"
        assert sft / f"epoch-{number}" in stage.needs


def test_shared_stages_run_once_and_a_finished_arm_never_again(
    tmp_path: Path, launches: Launches
) -> None:
    arms, _ = arms_of(tmp_path, "group_size")
    assert run_arms(arms, Console()) == {}
    assert launches.counts == {"data": 1, "model": 1, "sft": 1, "rl": 4, "eval": 4}
    others, _ = arms_of(tmp_path, "format_weight")  # its 0.1 is the other sweep's 8
    assert run_arms(arms, Console()) == run_arms(others, Console()) == {}
    assert launches.counts["sft"] == 1
    assert launches.counts["rl"] == launches.counts["eval"] == 7


def test_seeds_multiply_the_arms(tmp_path: Path, launches: Launches) -> None:
    arms, reference = arms_of(tmp_path, "format_weight", seeds=(3, 4))
    assert [(arm.label, arm.plan.recipe.seed) for arm in arms[:2]] == [("0.0", 3), ("0.0", 4)]
    assert reference == "0.1"
    run_arms(arms, Console())
    assert (launches.counts["sft"], launches.counts["rl"]) == (2, 8)


def test_a_failed_arm_does_not_stop_the_others(tmp_path: Path, launches: Launches) -> None:
    arms, _ = arms_of(tmp_path, "group_size")
    launches.failing = {arms[1].plan.stage("rl").fingerprint}
    assert run_arms(arms, Console()) == {"4-seed0": "stage 'rl' died"}
    assert launches.counts["eval"] == 3
    launches.failing = set()
    assert run_arms(arms, Console()) == {}
    assert launches.counts == {"data": 1, "model": 1, "sft": 1, "rl": 5, "eval": 4}


def test_a_failed_shared_stage_is_tried_once(tmp_path: Path, launches: Launches) -> None:
    arms, _ = arms_of(tmp_path, "group_size")
    launches.failing = {arms[0].plan.stage("sft").fingerprint}
    assert len(run_arms(arms, Console())) == 4
    assert launches.counts == {"data": 1, "model": 1, "sft": 1}


def test_arms_run_side_by_side_where_the_cluster_has_room(
    tmp_path: Path, launches: Launches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a process of its own, which here only says what it was given."""
    arms, _ = arms_of(tmp_path, "group_size")
    monkeypatch.setattr(ablations, "room", lambda recipe: 2)
    code = "import json, sys; print(json.load(open(sys.argv[-1]))['directory']); sys.exit(3)"
    monkeypatch.setattr(ablations, "ARM", ("-c", code))
    failed = run_arms(arms, Console())
    assert launches.counts == {"data": 1, "model": 1, "sft": 1}
    assert set(failed) == {arm.plan.directory.name for arm in arms}
    for arm in arms:
        assert (arm.plan.directory / "arm.log").read_text() == f"{arm.plan.directory}\n"


WAITING = """
import pathlib, os, signal, sys, time
pathlib.Path(sys.argv[-1]).with_name("pid").write_text(str(os.getpid()))
time.sleep(600)
"""
ABLATION = """
import signal, sys
from pathlib import Path
from orchestrator.ablate import arms as ablate
from orchestrator.console import Console
from tests.unit.orchestrator.test_ablate import WAITING, arms_of
ablate.ARM = ("-c", WAITING)
found, _ = arms_of(Path(sys.argv[1]), "group_size")
signal.signal(signal.SIGTERM, signal.default_int_handler)
ablate._side_by_side(found, 2, {})
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_arms_end_with_the_ablation(ending: int, tmp_path: Path) -> None:
    ablation = subprocess.Popen([sys.executable, "-c", ABLATION, str(tmp_path)], cwd=ROOT)
    while len(pids := list(tmp_path.rglob("pid"))) < 2 or not all(p.read_text() for p in pids):
        time.sleep(0.1)
    ablation.send_signal(ending)
    ablation.wait(60)
    started = [int(path.read_text()) for path in pids]
    left = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
    assert psutil.wait_procs(left, 30)[1] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sweep=group_sise"], "no such sweep; known: group_size"),
        ([], "give sweep="),
        (["sweep_key=rl.group_size"], "give sweep="),
        (["sweep=group_size", "sweep_values=4"], "at least 2"),
        (["sweep=group_size", "sweep_values=4,4"], "has a value twice"),
        (["sweep=group_size", "sweep_values=4,[5]"], "expected numbers or words"),
        (["sweep_key=rl.grup_size", "sweep_values=2,4"], "did you mean rl.group_size"),
        (["sweep_key=rl.group_size", "sweep_values=2,many"], "rl.group_size"),
        (["sweep=group_size", "seeds=a,b"], "seeds"),
        (["sweep=group_size", "rl.group_size=4"], "rl.group_size: given 2 different values"),
        (["sweep=group_size", "seeds=1,2", "seed=3"], "seed: given 2 different values"),
    ],
)
def test_a_sweep_that_can_not_be_is_an_error_before_anything_runs(
    arguments: list[str], told: str, tmp_path: Path, launches: Launches
) -> None:
    with pytest.raises(RecipeError) as caught:
        ablate(["recipe=tiny", f"runs_dir={tmp_path}", *arguments], Console())
    assert told in str(caught.value)
    assert launches.counts == {}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every arm answers 200 questions about 100 clips; the larger the group, the better."""

    def answer(arm: Arm) -> dict[str, tuple[bool, str, tuple[str, ...]]]:
        share = {"2": 0.3, "4": 0.5, "8": 0.7, "16": 0.9}[arm.label]
        rows = {}
        for number in range(200):
            task = "task/binary" if number % 2 else "task/multiple_choice"
            right = (number * 37 + arm.seed * 11) % 200 < 200 * share
            rows[f"q{number}"] = (right, f"clip{number // 2}", ("all", task))
        return rows

    monkeypatch.setattr(ablation, "_answers", answer)


def test_the_table_stands_beside_the_papers_column(
    tmp_path: Path, launches: Launches, answers: None
) -> None:
    arms, reference = arms_of(tmp_path, "group_size")
    launches.failing = {arms[0].plan.stage("rl").fingerprint}
    failed = run_arms(arms, Console())
    to = tmp_path / "out"
    ablation.write_ablation(load_sweep("group_size"), arms, reference, failed, to)
    table = json.loads((to / "table.json").read_text())
    cells = {(cell["label"], cell["task"]): cell for cell in table["cells"]}
    assert {label for label, _ in cells} == {"4", "8", "16"}
    assert cells["8", "binary"]["paper"] == pytest.approx(0.784)
    assert cells["8", "all"]["paper"] is None
    worse, best = cells["4", "all"], cells["16", "all"]
    assert (worse["accuracy"], best["accuracy"]) == (0.5, 0.9)
    assert worse["gain"] == pytest.approx(-0.2) and best["gain"] == pytest.approx(0.2)
    assert worse["gain_interval"][1] < 0 < best["gain_interval"][0]
    assert best["p"] < 0.001 and cells["8", "all"]["p"] is None
    assert "| 2 | failed (seed 0) |" in (to / "table.md").read_text()
    assert (to / "plot.png").read_bytes()[:4] == b"\x89PNG"


def test_a_row_stays_whole_in_eighty_columns(
    tmp_path: Path, launches: Launches, answers: None
) -> None:
    arms, reference = arms_of(tmp_path, "group_size")
    run_arms(arms, Console())
    printed = io.StringIO()
    shown = ablation.write_ablation(load_sweep("group_size"), arms, reference, {}, tmp_path)
    rich.console.Console(width=80, file=printed).print(shown)
    rows = [line for line in printed.getvalue().splitlines() if line[:2] in ("2 ", "4 ", "16")]
    assert len(rows) == 3 * 3  # all, binary, multiple choice
    assert all(row.count("[") == row.count("]") == 1 for row in rows)


def test_beside_other_data_sets_the_papers_column_is_camerabenchs(
    tmp_path: Path, launches: Launches, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = ("camerabench_binary", "camerabench_vqa_match", "shotbench")
    rows = {
        f"q{number}": (
            number % 4 > 0,
            f"clip{number}",
            (
                "all",
                f"dataset/{sets[number % 3]}",
                f"task/{('binary', 'multiple_choice')[number % 2]}",
            ),
        )
        for number in range(60)
    }
    monkeypatch.setattr(ablation, "_answers", lambda arm: rows)
    arms, reference = arms_of(tmp_path, "group_size")
    run_arms(arms, Console())
    ablation.write_ablation(load_sweep("group_size"), arms, reference, {}, tmp_path)
    cells = json.loads((tmp_path / "table.json").read_text())["cells"]
    told = {cell["task"]: cell["paper"] for cell in cells if cell["label"] == "8"}
    wanted = {"all": None, sets[0]: 0.784, sets[1]: 0.745, sets[2]: None}
    assert told == pytest.approx(wanted)


def test_several_seeds_are_averaged_and_not_tested_as_one(
    tmp_path: Path, launches: Launches, answers: None
) -> None:
    arms, reference = arms_of(tmp_path, "group_size", seeds=(0, 1))
    run_arms(arms, Console())
    ablation.write_ablation(load_sweep("group_size"), arms, reference, {}, tmp_path)
    cells = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert {(cell["seeds"], cell["n"]) for cell in cells if cell["task"] == "all"} == {(2, 200)}
    assert all(cell["p"] is None for cell in cells)


def test_the_command_ends_with_the_failed_arms_and_their_table(
    tmp_path: Path, launches: Launches, answers: None, capsys: pytest.CaptureFixture[str]
) -> None:
    launches.failing = {arms_of(tmp_path, "group_size")[0][1].plan.stage("rl").fingerprint}
    code = main(["ablate", "recipe=tiny", "sweep=group_size", f"runs_dir={tmp_path}"])
    said = capsys.readouterr()
    assert code == 1
    assert "1 of 4 arms failed" in said.err and "4-seed0: stage 'rl' died" in said.err
    assert "accuracy after RL" in said.out
    assert (tmp_path / "tiny-ablate-group_size" / "table.md").is_file()


FAKE = """
import json, pathlib, sys
counts, name, label = sys.argv[1:]
with open(counts, "a") as file:
    file.write(name + "\\n")
if name == "rl" and label == "4":
    sys.exit("out of cheese")
"""


@pytest.mark.slow
def test_trainers_are_launched_once_for_what_arms_share(tmp_path: Path) -> None:
    """Real processes under Ray, each of which only leaves its name."""
    arms, _ = arms_of(tmp_path, "group_size")
    faked = [fake(arm, tmp_path / "launched") for arm in arms[:2]]
    failed = run_arms(faked, Console())
    assert list(failed) == ["4-seed0"] and "out of cheese" in failed["4-seed0"]
    launched = Counter((tmp_path / "launched").read_text().split())
    assert launched == {"data": 1, "model": 1, "sft": 1, "rl": 2, "eval": 1}
    assert (faked[0].plan.directory / "eval" / "manifest.json").is_file()


def fake(arm: Arm, counts: Path) -> Arm:
    """The arm, with stages that do nothing but count."""
    stages = tuple(
        with_values(
            stage,
            commands=(Command("orchestrator", ("-c", FAKE, str(counts), stage.name, arm.label)),),
            needs=(),
            resources=Resources(1),
        )
        for stage in arm.plan.stages
    )
    return replace(arm, plan=replace(arm.plan, stages=stages))
