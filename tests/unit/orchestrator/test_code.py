"""What a stage runs is part of its fingerprint, or listed here as deciding no result."""

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import grimp
import pytest

from orchestrator.plan.data import _BUILDERS
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import Stage
from orchestrator.recipe import load_recipe

GRAPH = grimp.build_graph("orchestrator", "data_builders", "reward_plugins")
DECIDES_NOTHING = {
    # What is written or read on the way, or refused: the result is the same, or there is none.
    *("data_builders.audit", "data_builders.contamination", "data_builders.progress"),
    *("data_builders.frame_cache", "data_builders.workers", "data_builders.serving"),
    *("data_builders.fetch", "data_builders.blob", "data_builders.repositories"),
    "data_builders.ledger",
    *("orchestrator.doctor.*", "orchestrator.errors", "orchestrator.run.*"),
    *("reward_plugins.errors", "reward_plugins.files", "reward_plugins.logger_modes"),
    "reward_plugins.rows",
    *("reward_plugins.own", "reward_plugins.sizes", "reward_plugins.trial"),
    # Forms of values that are in the fingerprint themselves.
    *("data_builders.specs", "data_builders.source_specs", "data_builders.trajectory_specs"),
    *("orchestrator.evaluation.config", "orchestrator.evaluation.judge_specs"),
    *("orchestrator.places", "orchestrator.plan.digests", "orchestrator.plan.outputs"),
    # Each merged checkpoint is compared with its shards: another one would be refused.
    *("reward_plugins.merge.*", "reward_plugins.weights"),
}
WRITTEN = {"data_builders.media", "data_builders.motion", "data_builders.sample"}
"""What decides the rows of a question set, which are in the fingerprint of whoever reads them."""
RECIPES = {
    "tiny": ("+stages.asked={kind: sample, start: sft, questions: rl}",),
    "camreasoner_7b": (),
}


STAGES = {
    f"{name}:{stage.name}": stage
    for name, overrides in RECIPES.items()
    for stage in make_plan(load_recipe(name, overrides), Path("runs")).stages
}


def imported(stage: Stage) -> set[str]:
    """Modules of ours that the stage's commands run and import."""
    run = {word for command in stage.steps for word in command.argv if word in GRAPH.modules}
    return run.union(*(GRAPH.find_upstream_modules(module) for module in run))


def counts(module: str, code: Iterable[str]) -> bool:
    path = module.replace(".", "/")
    return any(f"{path}.py" == own or f"{path}/".startswith(f"{own}/") for own in code)


def decides_nothing(module: str) -> bool:
    return any(re.fullmatch(name.replace(".*", r"(\..*)?"), module) for name in DECIDES_NOTHING)


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_imports_counts_or_decides_nothing(name: str) -> None:
    stage = STAGES[name]
    # The rows are the data stage's own, and what it builds depends on the recipe's sources.
    code = {"data": (*stage.code, *chain(*_BUILDERS.values()))}.get(stage.name, stage.code)
    elsewhere = set() if stage.name == "data" else WRITTEN
    assert stage.code
    silent = {module for module in imported(stage) if not counts(module, code)} - elsewhere
    assert not {module for module in silent if not decides_nothing(module)}
