"""Where a recipe's key ends up: give it another value and look at what the stages would run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from data_builders.trajectory_specs import EndpointSpec
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT, Stage
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.recipe.rules import broken_rules

OWN_REWARD = "examples/rewards/length_window.py:compute_score"
POOL: tuple[Any, ...] = (
    *(True, False, None, 0, 1, 2, 3, 4, 5, 7, 16, 64, 100_000, 0.25, 0.5, 0.75, 1.5),
    *("x", "/x", "base", "sft:epoch:1", "sft:step:200", "{question} {options} x", "hf", "vllm"),
    *(["x"], ["answer"], ["think", "answer"], ["base"], [0.5, 0.6], [0.01, 0.02], ["wandb"]),
    *(["synthetic"], ["camerabench"], ["shotqa"], ["static"], ["binary"], {"x": 1}, {"zoom": 7}),
    *({"synthetic": 0.5}, {"camreasoning": 0.5}, {"x": {"path": "x"}}, ["sft:last"]),
    {"camreasoning": {"rows": "rows", "sets": {"sft": "x.json"}, "clips": "clips"}},
    {"sft": {"kind": "sft"}, "rl": {"kind": "rl", "start": "base"}},
    {task: {"grader": "words", "tail": "x"} for task in ("binary", "multiple_choice")},
    {"x": {"function": "reward_plugins/systems/video_r1.py:length", "weight": 1.0}},
    OWN_REWARD,
)
"""Values to try; those that a key doesn't take are passed over."""
TAUGHT = str(ROOT / "examples" / "recipes" / "more_traces.yaml")
"""The recipe with a teacher."""
RUNS = Path("/runs")
"""Nothing is written: only the plan is looked at."""

Places = dict[str, str]
"""What stages are told, by place: `sft learning_rate`, `verl trainer.n_gpus_per_node`, `eval`."""


def bases() -> Iterator[dict[str, Any]]:
    """Recipes that between them have every section, for either RL trainer."""
    recipe = load_recipe(TAUGHT)
    taught = recipe.model_dump(mode="json")["data"]["trajectories"]
    for trainer in ("verl", "easyr1"):
        given = [f"rl.trainer={trainer}", "stages.sample={kind: sample}"]
        yield load_recipe("camreasoner_7b", given).model_dump(mode="json")
        for name in ("camreasoner_7b", "tiny"):
            whole = load_recipe(name, given).model_dump(mode="json")
            for section in ("rl", "sample", "eval"):
                whole[section]["frames"] = whole["frames"]
            for section in ("sft", "rl", "sample"):
                whole[section]["prompt"] = whole["prompt"]
            whole["data"]["trajectories"] = whole["data"]["files"] and taught
            whole["loggers"] = ["wandb"]  # which shows the run's name
            whole["rl"]["padding_free"] = False  # which fp32 needs
            whole["rl"]["validation"] = {"every": 50, "questions": 128}
            whole["eval"]["external"] = ["vsibench"]
            whole["eval"]["benchmarks"] = ["held_out", "synthetic"]
            whole["eval"]["models"] = {"served": {"base_url": "http://localhost/v1", "model": "m"}}
            whole["eval"]["judge"] = {
                "endpoint": EndpointSpec(model="m", temperature=0.0).model_dump(mode="json"),
                "benchmarks": ["held_out", "synthetic"],
                "labels": None,
                "failures_in_a_row": 9,
            }
            if name == "tiny":
                whole["data"]["sources"] += ["folder"]
                whole["data"]["folder"] = {"clips": "clips", "questions": "questions.csv"}
                whole["rl"]["reward"]["function"] = OWN_REWARD
            yield whole
    yield load_recipe("shotvl_3b").model_dump(mode="json")


def arrivals(key: str, wholes: list[dict[str, Any]], before: list[Places]) -> set[str]:
    """Every place that the first accepted other value of `key` changes, over all of `wholes`."""
    found: set[str] = set()
    for whole, plain in zip(wholes, before, strict=True):
        for value in candidates(key):
            recipe = checked(replaced(whole, key.split("."), value))
            changed = set() if recipe is None else _changed(plain, places(recipe))
            found |= changed
            if changed:
                break
    return found


def places(recipe: Recipe) -> Places:
    """What every stage but the report, which prints the recipe, would be told."""
    plan = make_plan(recipe, RUNS)
    told: Places = {}
    for stage in plan.stages:
        if stage.name != "report":
            told |= {place: _without_hashes(text, plan) for place, text in _told(stage, recipe)}
    return told


def _told(stage: Stage, recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield stage.name, str([stage.commands, stage.resources, stage.needs])
    for name, text in stage.files.items():
        own = Path(name).name
        if own == "train.yaml":
            yield from _flat("llamafactory", yaml.safe_load(text))
        elif own == "deepspeed.json":
            yield from _flat("deepspeed", json.loads(text))
        elif own == "train.json" and recipe.at(stage.name).rl.trainer == "verl":
            config = json.loads(text)
            for key, value in config.pop("overrides").items():
                yield f"verl {key}", json.dumps(value)
            yield stage.name + " ", str(config)
        elif own == "train.json":
            config = json.loads(text)
            yield from _flat("easyr1", config.pop("easyr1"))
            yield stage.name + " ", str(config)
        else:
            yield f"{stage.name}  {own}", text


def _flat(place: str, value: Any, dot: str = " ") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{place}{dot}{key}", inner, ".")
    else:
        yield place, json.dumps(value)


def _without_hashes(text: str, plan: Plan) -> str:
    for stage in plan.stages:  # a stage's directory changes with all that went into it
        text = text.replace(stage.fingerprint, "")
    return text


def _changed(one: Places, other: Places) -> set[str]:
    return {place for place in one.keys() | other.keys() if one.get(place) != other.get(place)}


def candidates(key: str) -> Iterator[Any]:
    """Values for `key`: what its type lists, then the pool."""
    stack = [_annotation(Recipe, key.split("."))]
    while stack:
        inner = stack.pop()
        stack += [part for part in get_args(inner) if not isinstance(part, str)]
        yield from (part for part in get_args(inner) if isinstance(part, str))
    yield from POOL


def _annotation(model: type[BaseModel], path: list[str]) -> Any:
    field = model.model_fields[path[0]]
    if len(path) == 1:
        return field.annotation
    inner = [field.annotation, *get_args(field.annotation)]
    sections = [c for c in inner if isinstance(c, type) and issubclass(c, BaseModel)]
    if not sections:  # a mapping of anything
        return Any
    named = path[1] not in sections[0].model_fields  # of a mapping of sections
    return _annotation(sections[0], path[1 + named :])


def replaced(whole: dict[str, Any], path: list[str], value: Any) -> dict[str, Any] | None:
    """`whole` with `value` at `path`; None where the recipe lacks that section."""
    head, *rest = path
    if not rest:
        return None if whole[head] == value else {**whole, head: value}
    inner = replaced(whole[head], rest, value) if isinstance(whole[head], dict) else None
    return None if inner is None else {**whole, head: inner}


def checked(whole: dict[str, Any] | None) -> Recipe | None:
    """The recipe, if it is one."""
    try:
        recipe = Recipe.model_validate(whole)
    except ValidationError:
        return None
    return None if broken_rules(recipe) else recipe
