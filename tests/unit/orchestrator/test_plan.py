"""Plans: pure, quick, and stale exactly where an ingredient changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe, recipe_names

STAGES = ["data", "model", "sft", "rl", "eval", "report"]
UNTRAINED = ("camreasoner_7b_released",)
"""Recipes that train nothing: they evaluate what others did."""


def plan_of(tmp_path: Path, *overrides: str) -> Plan:
    return make_plan(load_recipe("tiny", overrides), tmp_path)


def changed(before: Plan, after: Plan) -> list[str]:
    pairs = zip(before.stages, after.stages, strict=True)
    return [a.name for a, b in pairs if a.fingerprint != b.fingerprint]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_planned(name: str, tmp_path: Path) -> None:
    plan = make_plan(load_recipe(name), tmp_path)
    external = ["external"] if plan.recipe.eval.external else []
    expected = ["data", "model", *plan.recipe.stages, *external, "eval", "report"]
    assert bool(plan.recipe.stages) == (name not in UNTRAINED)
    assert [s.name for s in plan.stages if s.name != "benchmarks"] == expected
    for stage in plan.stages:
        shown = "".join([*stage.files.values(), *(a for c in stage.commands for a in c.argv)])
        assert "Output(" not in shown and "RunTime(" not in shown


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [(["rl.rollout.engine=vllm"], {"rl"}), (["eval.engine=vllm"], {"eval"})],
)
def test_vllm_without_a_gpu_has_an_environment_of_its_own(
    overrides: list[str], stages: set[str], tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, *overrides)
    found = {s.name for s in plan.stages if "vllm-cpu" in {c.environment for c in s.commands}}
    assert found == stages


def test_the_same_recipe_has_the_same_fingerprints(tmp_path: Path) -> None:
    assert changed(plan_of(tmp_path), plan_of(tmp_path)) == []


@pytest.mark.parametrize(
    ("override", "stale"),
    [
        ("rl.reward.format_weight=0.3", ["rl", "eval", "report"]),
        ("rl.group_size=4", ["rl", "eval", "report"]),
        ("rl.ema.beta=0.9", ["rl", "eval", "report"]),
        ("sft.learning_rate=1e-4", ["sft", "rl", "eval", "report"]),
        ("eval.batch_size=7", ["eval", "report"]),
        ("data.synthetic.seed=9", STAGES),
    ],
)
def test_an_override_makes_only_what_depends_on_it_stale(
    override: str, stale: list[str], tmp_path: Path
) -> None:
    assert changed(plan_of(tmp_path), plan_of(tmp_path, override)) == stale


@pytest.mark.parametrize(
    ("overrides", "needed"),
    [
        ("eval.checkpoints=[base]", ["data", "model", "eval"]),
        ("eval.checkpoints=[base,sft:step:600]", ["data", "model", "sft", "eval"]),
        ("eval.checkpoints=[sft:step:200]", ["data", "model", "sft", "eval"]),
        ("eval.checkpoints=[rl]", ["data", "model", "sft", "rl", "eval"]),
        (
            "eval.checkpoints=[base] eval.external=[vsibench]",
            ["data", "model", "external", "eval"],
        ),
        (
            "eval.checkpoints=[] eval.benchmarks=[synthetic] eval.models.q.path=Qwen/Q",
            ["benchmarks", "eval"],
        ),
        (
            "eval.checkpoints=[] eval.models.g.base_url=http://g/v1 eval.models.g.model=g",
            ["data", "eval"],
        ),
    ],
)
def test_only_what_a_stage_reads_must_be_done_first(
    overrides: str, needed: list[str], tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, *overrides.split())
    assert [stage.name for stage in plan.until("eval")] == needed


def test_where_the_run_directory_is_does_not_matter(tmp_path: Path) -> None:
    here, there = plan_of(ROOT / "runs").stage("data"), plan_of(ROOT / "elsewhere").stage("data")
    assert here.fingerprint == there.fingerprint


def test_planning_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; import orchestrator.cli\n"
        "from orchestrator.plan.make import make_plan\n"
        "from orchestrator.recipe import load_recipe\n"
        "make_plan(load_recipe('camreasoner_7b'), Path('/nowhere'))\n"
        "heavy = {'torch', 'transformers', 'ray', 'numpy', 'av', 'pyarrow', 'verl', 'psutil',\n"
        "    'filelock', 'rich.progress', 'rich.live', 'httpx2', 'openai', 'huggingface_hub'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
