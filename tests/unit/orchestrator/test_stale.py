"""What changes, and what must then run again: exactly what depends on it."""

import os
from pathlib import Path

import grimp
import pytest

from orchestrator import cli, envs
from orchestrator.plan import digests
from orchestrator.plan import stage as staging
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.recipe import load_recipe
from tests.unit.orchestrator.finished import finished_run

STAGES = ["data", "model", "sft", "rl", "eval", "report"]
READ_CLIPS = ["sft", "rl", "eval", "report"]


def plan_of(tmp_path: Path, *overrides: str) -> Plan:
    return make_plan(load_recipe("tiny", overrides), tmp_path)


def stale(before: Plan, after: Plan) -> list[str]:
    pairs = zip(before.stages, after.stages, strict=True)
    return [a.name for a, b in pairs if a.fingerprint != b.fingerprint]


@pytest.fixture
def done(tmp_path: Path) -> Plan:
    """The tiny run with its data there, and a clip among it."""
    plan = finished_run(tmp_path, "tiny", stages=("data",), leaving={"data": ["clips/a/1.mp4"]})
    assert stale(plan, plan_of(tmp_path)) == []
    return plan


def _rewrite(path: Path, content: str) -> None:
    path.write_text(content)
    os.utime(path, (4e9, 4e9))


def test_a_changed_clip_reruns_what_reads_clips(done: Plan, tmp_path: Path) -> None:
    clip = done.stage("data").directory / "clips" / "a" / "1.mp4"
    before = clip.read_text()
    _rewrite(clip, "other")
    after = plan_of(tmp_path)
    assert stale(done, after) == READ_CLIPS
    assert "changed in data" in after.stage("sft").ingredients
    _rewrite(clip, before)
    assert stale(done, plan_of(tmp_path)) == []


def test_status_says_why(
    done: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    where = ["status", "recipe=tiny", f"runs_dir={tmp_path}"]
    assert cli.main(where) == 0
    assert "data  done" in capsys.readouterr().out
    assert cli.main([*where, "data.synthetic.seed=7"]) == 0
    shown = capsys.readouterr().out
    assert "data  stale: changed file data.json" in shown
    assert "data.synthetic.seed: 0 -> 7" in shown
    _rewrite(done.stage("data").directory / "clips" / "a" / "1.mp4", "other")
    assert cli.main(where) == 0
    assert "changed since; what reads it runs again: clips/a/1.mp4" in capsys.readouterr().out


def test_a_clip_that_is_only_gone_or_touched_reruns_nothing(done: Plan, tmp_path: Path) -> None:
    clip = done.stage("data").directory / "clips" / "a" / "1.mp4"
    os.utime(clip, (4e9, 4e9))
    assert stale(done, plan_of(tmp_path)) == []
    clip.unlink()
    assert stale(done, plan_of(tmp_path)) == []


def test_a_changed_checkpoint_behind_a_link_reruns_what_starts_from_it(tmp_path: Path) -> None:
    files = {"sft": ["checkpoints/checkpoint-600/model.safetensors", "checkpoints/other"]}
    plan = finished_run(tmp_path, "tiny", stages=("data", "sft"), leaving=files)
    (plan.stage("sft").directory / "step-600").symlink_to("checkpoints/checkpoint-600")
    _rewrite(plan.stage("sft").directory / "checkpoints" / "other", "other")
    assert stale(plan, plan_of(tmp_path)) == ["report"]  # it reads the whole directory
    _rewrite(plan.stage("sft").directory / files["sft"][0], "other")
    assert stale(plan, plan_of(tmp_path)) == ["rl", "eval", "report"]


@pytest.mark.parametrize(
    ("lock", "changed"),
    [
        ("orchestrator", STAGES),
        ("sft", ["model", "sft", "rl", "eval", "report"]),
        ("rl", ["rl", "eval", "report"]),
        ("eval", ["eval", "report"]),
        ("easyr1", []),
        ("sft-gpu", []),
    ],
)
def test_a_changed_lock_reruns_what_runs_in_its_environment(
    lock: str, changed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan_of(tmp_path)
    folder = tmp_path / "envs"
    folder.mkdir()
    for path in envs.LOCKS.glob("*.txt"):
        added = "extra==1\n" if path.stem == lock else ""
        (folder / path.name).write_text(path.read_text() + added)
    monkeypatch.setattr(envs, "LOCKS", folder)
    assert stale(before, plan_of(tmp_path)) == changed


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("reward_plugins/ema_grpo.py", ["rl", "eval", "report"]),
        ("reward_plugins/verl_plugin/agent_loop.py", ["rl", "eval", "report"]),
        ("reward_plugins/merge/verl.py", []),
        ("reward_plugins/easyr1_plugin/hooks.py", []),
        ("reward_plugins/ota.py", ["rl", "eval", "report"]),
        ("data_builders/synthetic/scene.py", STAGES),
        ("data_builders/camerabench.py", []),
        ("data_builders/tiny_model.py", ["model", "sft", "rl", "eval", "report"]),
        ("data_builders/export.py", ["sft", "rl", "eval", "report"]),
        ("data_builders/decoding.py", ["sft", "rl", "eval", "report"]),
        ("data_builders/prompt.py", ["model", "sft", "rl", "eval", "report"]),
        ("orchestrator/evaluation/statistics.py", ["eval", "report"]),
        ("orchestrator/report/figures.py", ["report"]),
        ("orchestrator/cli.py", []),
    ],
)
def test_a_changed_source_reruns_what_it_decides(
    file: str, changed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (staging.ROOT / file).is_file()
    before = plan_of(tmp_path)
    assert stale(before, edited(file, "\n# only a comment", tmp_path, monkeypatch)) == []
    assert stale(before, edited(file, "\nEDITED = 1", tmp_path, monkeypatch)) == changed


def edited(file: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan when `text` stands at the end of a file of ours."""
    read = Path.read_text

    def read_edited(path: Path, *more: str) -> str:
        return read(path, *more) + (text if path == staging.ROOT / file else "")

    digests._of_code.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", read_edited)
        plan = plan_of(tmp_path)
        assert plan.stages[-1].fingerprint  # computed while the file reads so
    digests._of_code.cache_clear()
    return plan


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("seed=7", STAGES),
        ("data.synthetic.seed=7", STAGES),
        ("model.build.seed=7", ["model", "sft", "rl", "eval", "report"]),
    ],
)
def test_a_changed_seed_reruns_what_is_drawn_from_it(
    override: str, changed: list[str], tmp_path: Path
) -> None:
    assert stale(plan_of(tmp_path), plan_of(tmp_path, override)) == changed


@pytest.mark.parametrize("trainer", ["verl", "easyr1"])
def test_another_name_reruns_the_report_alone(trainer: str, tmp_path: Path) -> None:
    given = f"rl.trainer={trainer}"
    for logged in ((given,), (given, "loggers=[wandb]")):
        renamed = plan_of(tmp_path, *logged, "name=b")
        assert stale(plan_of(tmp_path, *logged), renamed) == ["report"]


def test_the_users_own_files_count_by_content(tmp_path: Path) -> None:
    questions, model = tmp_path / "rl.json", tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    overrides = [f"data.camerabench.train_annotations={questions}", f"model.path={model}"]

    def plan() -> Plan:
        return make_plan(load_recipe("camreasoner_7b", overrides), tmp_path)

    absent = plan()
    questions.write_text("[]")
    there = plan()
    all_but_model = [name for name in STAGES if name != "model"]
    assert stale(absent, there) == all_but_model
    questions.write_text("[1]")
    assert stale(there, plan()) == all_but_model
    questions.write_text("[]")
    (model / "config.json").write_text("[]")
    assert stale(there, plan()) == [name for name in STAGES if name != "data"]
    (model / "config.json").write_text("{}")
    assert stale(there, plan()) == []


PLUMBING = (
    "data_builders/annotations.py",  # its error, where it is not a source
    "data_builders/blob.py",
    "data_builders/chat.py",
    "data_builders/frame_cache.py",
    "data_builders/ledger.py",
    "data_builders/motion.py",
    "data_builders/progress.py",
    "data_builders/sample.py",
    "data_builders/source_specs.py",
    "data_builders/specs.py",
    "data_builders/trajectory_specs.py",
    "data_builders/workers.py",
    "orchestrator/doctor",
    "orchestrator/errors.py",
    "orchestrator/places.py",
    "orchestrator/plan",
    "orchestrator/run",
    "reward_plugins/checkpoints.py",
    "reward_plugins/errors.py",
    "reward_plugins/files.py",
    "reward_plugins/imports.py",
    "reward_plugins/logger_modes.py",
    "reward_plugins/merge",  # checks that what it wrote is what was trained
    "reward_plugins/metrics_history.py",
    "reward_plugins/own.py",
    "reward_plugins/rows.py",
    "reward_plugins/reward.py",  # an evaluation only matches answers
    "reward_plugins/sizes.py",  # refuses what the trainer would scale
    "reward_plugins/trial.py",  # tries the reward before training
    "reward_plugins/weights.py",
)
"""Imported by stages without deciding their results: they carry, check and count."""


@pytest.mark.parametrize("overrides", [(), ("rl.trainer=easyr1",)])
def test_whatever_a_stage_imports_is_a_source_of_it_or_plumbing(
    overrides: tuple[str, ...], tmp_path: Path
) -> None:
    graph = grimp.build_graph("orchestrator", "reward_plugins", "data_builders", cache_dir=None)
    plan = plan_of(tmp_path, *overrides)
    undeclared = {
        (stage.name, module)
        for stage in plan.stages
        if stage.name in ("model", "sft", "rl", "eval")
        for module in _imported(graph, stage)
        if not _is_under(module, (*_sources(stage), *PLUMBING))
    }
    assert undeclared == set()


def _sources(stage: Stage) -> tuple[str, ...]:
    names = (name.partition("source ") for name in stage.ingredients)
    return tuple(source for before, found, source in names if found and not before)


def _imported(graph: grimp.ImportGraph, stage: Stage) -> set[str]:
    named = {c.argv[1] for c in stage.commands if c.argv[0] == "-m"}
    named |= {f"{name}.__main__" for name in named}
    modules = {
        m for name in named & graph.modules for m in (name, *graph.find_upstream_modules(name))
    }
    paths = {module.replace(".", "/") + ".py" for module in modules}
    return {path for path in paths if (staging.ROOT / path).is_file()}


def _is_under(path: str, sources: tuple[str, ...]) -> bool:
    return any(path == source or path.startswith(f"{source}/") for source in sources)
