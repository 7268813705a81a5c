"""The doctor: each fault is found, named by its key, and told with its remedy."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import envs
from orchestrator.doctor import frame_cache
from orchestrator.doctor import machine as machines
from orchestrator.doctor.advice import advice
from orchestrator.doctor.examine import memory
from orchestrator.doctor.imports import unimportable
from orchestrator.doctor.parsers import parsed
from orchestrator.doctor.sheets import GPUS
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import Command
from orchestrator.recipe import load_recipe, recipe_names
from tests.unit.orchestrator.finished import with_values


@pytest.mark.parametrize("name", recipe_names())
def test_no_shipped_recipe_needs_advice(name: str) -> None:
    assert list(advice(load_recipe(name))) == []


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["frames.max_frames=128"], r"rl.max_prompt_length: 16384.*frames.max_frames=9\d"),
        (["sft.max_length=1024"], r"sft.max_length: 1024.*sft.frames.max_frames="),
        (["frames.fps=4"], r"frames.fps: at 4"),
        (
            ["rl.extra.actor_rollout_ref.actor.freeze_vision_tower=true"],
            r"freeze_vision_tower: verl accepts this key and ignores it",
        ),
        (
            ["rl.extra.algorithm.filter_groups.max_num_gen_batches=3"],
            r"max_num_gen_batches: verl accepts this key and ignores it",
        ),
        (
            ["rl.trainer=easyr1", "rl.extra.worker.actor.kl_coef=1"],
            r"worker.actor.kl_coef: easyr1 accepts this key and ignores it",
        ),
    ],
)
def test_a_fault_that_no_parser_finds_is_told(overrides: list[str], fault: str) -> None:
    (told,) = advice(load_recipe("camreasoner_7b", overrides))
    assert re.search(fault, told)


def test_qwen3_vl_is_not_given_the_positions_of_qwen25() -> None:
    (told,) = advice(load_recipe("camreasoner_qwen3vl_8b", ["rl.trainer=verl"]))
    assert "rl.trainer=easyr1" in told


def test_the_proposed_number_of_frames_mends_the_prompt() -> None:
    (told,) = advice(load_recipe("camreasoner_7b", ["frames.max_frames=128"]))
    override = told.split("set ")[1]
    assert list(advice(load_recipe("camreasoner_7b", [override]))) == []


def test_too_little_memory_is_told_with_an_override() -> None:
    recipe = load_recipe("camreasoner_7b", ["sft.zero_stage=null", "sft.freeze_vision_tower=false"])
    right, text = next(iter(memory(recipe, GPUS[0])))
    assert right is False
    assert text.endswith("sft.zero_stage=3")


def test_too_small_a_cache_for_one_response_is_told() -> None:
    recipe = load_recipe("camreasoner_7b", ["rl.rollout.gpu_memory_utilization=0.05"])
    wrong = [text for right, text in memory(recipe, GPUS[0]) if right is False]
    assert "rl.rollout.gpu_memory_utilization" in wrong[-1]  # the host may be too small as well


def test_several_nodes_without_a_cluster_are_told() -> None:
    recipe = load_recipe("tiny", ["cluster.nodes=2"])
    right, text = machines.devices(recipe)
    assert right is False and text.startswith("cluster.nodes: 2 nodes")
    cluster = recipe.cluster.model_copy(update={"address": "head:6379"})
    assert machines.devices(recipe.model_copy(update={"cluster": cluster}))[0] is True


def test_a_disk_too_small_for_the_checkpoints_is_told(tmp_path: Path) -> None:
    plan = make_plan(load_recipe("camreasoner_7b"), tmp_path)
    assert machines.disk(plan, free=10**9)[0] is False
    assert machines.disk(plan, free=10**13)[0] is True


def test_the_frame_cache_is_held_against_the_disk_by_a_formula() -> None:
    recipe = load_recipe("camreasoner_7b")
    sft, rl = frame_cache.shares(recipe)
    assert rl.usual == 3 * 262_144 * 6 * 1.35 and rl.most == 3 * 262_144 * 64 * 1.35
    assert (rl.clips, sft.clips) == (38_451, 18_541)
    assert 2.4e11 < frame_cache.cache_bytes(recipe) < 2.7e11
    assert machines.frames(recipe, free=10**10)[0] is None
    right, text = machines.frames(recipe, free=10**12)
    assert right and "rl 6.4 MB a usual clip (68 at most)" in text


def test_fewer_kept_checkpoints_take_less_disk() -> None:
    wanted = machines.checkpoint_bytes
    few = wanted(load_recipe("camreasoner_7b", ["rl.keep_last=1"]))
    many = wanted(load_recipe("camreasoner_7b", ["rl.keep_last=9"]))
    none = wanted(load_recipe("camreasoner_7b", ["rl.keep_last=1", "rl.keep_every=null"]))
    assert None not in (none, few, many) and none < few < many  # type: ignore[operator]


@pytest.fixture
def plan_with_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Plan]:
    """A plan whose SFT config is parsed by a module of the test's own, in this environment."""

    def make(code: str) -> Plan:
        plan = make_plan(load_recipe("tiny"), tmp_path)
        sft = plan.stage("sft")
        monkeypatch.setattr("orchestrator.doctor.parsers.PREFIX", "")
        check = Command("orchestrator", ("-c", code, *sft.commands[0].argv[2:]))
        return replace(plan, stages=(with_values(sft, commands=(check,)),))

    return make


CHECK = "from orchestrator.doctor import report\n"


def test_what_a_parser_takes_is_right_and_its_notes_are_told(
    plan_with_parser: Callable[[str], Plan],
) -> None:
    plan = plan_with_parser(CHECK + "report(lambda path: [open(path).read()[:18]])")
    ((right, text),) = parsed(plan)
    assert right is True
    assert "model_name_or_path" in text
    assert not plan.stages[0].directory.exists()


def test_what_a_parser_raises_is_told(plan_with_parser: Callable[[str], Plan]) -> None:
    code = "def parse(path):\n    raise KeyError('lerning_rate')\n"
    ((right, text),) = parsed(plan_with_parser(CHECK + code + "report(parse)"))
    assert right is False
    assert "KeyError: 'lerning_rate'" in text


def test_a_parser_that_dies_is_told(plan_with_parser: Callable[[str], Plan]) -> None:
    code = "import sys; sys.stderr.write('no such module'); sys.exit(3)"
    ((right, text),) = parsed(plan_with_parser(code))
    assert right is False
    assert "exit code 3\nno such module" in text


def test_a_missing_environment_is_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envs, "is_ready", lambda name: False)
    assert [right for right, _ in parsed(make_plan(load_recipe("tiny"), tmp_path))] == [None, None]


def test_the_parsers_of_gpu_recipes_run_where_only_the_cpu_environment_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, asked = make_plan(load_recipe("camreasoner_7b"), tmp_path), list[str]()
    monkeypatch.setattr(envs, "is_ready", lambda name: name in ("sft", "rl"))
    monkeypatch.setattr(
        envs, "interpreter", lambda name: asked.append(name) or Path(sys.executable)
    )
    list(parsed(plan))
    assert asked == ["sft", "rl"]


def test_what_an_environment_does_not_import_is_told() -> None:
    python = Path(sys.executable)
    assert unimportable(python, ("json",)) is None
    told = unimportable(python, ("json", "no_such_module"))
    assert told and "`import no_such_module` fails: ModuleNotFoundError" in told
