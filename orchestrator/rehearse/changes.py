"""What a rehearsal changes of a recipe: the keys of `recipes/rehearsal/*.yaml`, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from data_builders.specs import Spec, SyntheticSpec
from orchestrator.errors import RecipeError
from orchestrator.places import RECIPES
from orchestrator.plan.extra import flat
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.values import Output, RunTime, replaced
from orchestrator.recipe import Recipe, load_recipe
from reward_plugins.verl_plugin.overrides import to_hydra

FOLDER = RECIPES / "rehearsal"
Why = Literal["size", "hardware"]
DEVICES = ("cpu", "cuda")
NONE = "-"
WIDEST = 72
"""Letters of a value that are shown."""


class RehearsalSpec(Spec):
    """`recipes/rehearsal/size.yaml` and that of a device."""

    size: dict[str, Any]
    """Values of the recipe's keys that make it small."""
    hardware: dict[str, Any]
    """Values that the machine forces."""
    trainers: dict[str, tuple[str, ...]]
    """Keys by file (or `command`) that the device changes in what the stages read."""
    stand_ins: SyntheticSpec
    """Clips and questions in the place of the published ones."""


class Change(NamedTuple):
    """A key that the rehearsal gives another value."""

    key: str
    old: str
    new: str
    why: Why


def load_spec(device: str) -> RehearsalSpec:
    """The changes of a rehearsal on `device`; `RecipeError` where there is none on such."""
    if device not in DEVICES:
        raise RecipeError(f"rehearsal.device={device}: choose one of {', '.join(DEVICES)}")
    files = (FOLDER / f"{name}.yaml" for name in ("size", device))
    return RehearsalSpec.model_validate(
        {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}
    )


def rehearsed(name: str, overrides: Sequence[str], spec: RehearsalSpec) -> tuple[Recipe, Recipe]:
    """The recipe under `overrides`, and the same as it is rehearsed.

    Raises `RecipeError` for a backbone of which no small one can be built.
    """
    recipe = load_recipe(name, overrides)
    if not recipe.sft.template.startswith("qwen2"):
        raise RecipeError(
            f"recipe {recipe.name!r} can't be rehearsed: small models are built of Qwen2.5-VL's "
            f"architecture alone, and sft.template={recipe.sft.template} is of another"
        )
    ours = dict(_alive(recipe, {**spec.size, **spec.hardware}))
    others = [word for word in overrides if word.lstrip("+~").partition("=")[0] not in ours]
    return recipe, load_recipe(name, [*others, *to_hydra(ours)])


def _alive(recipe: Recipe, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys whose section the recipe has; of a stage too, where it has a value of its own."""
    tree = recipe.model_dump(mode="json")
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        if _at(tree, section) is None:
            continue
        yield key, value
        for stage, own in tree["stages"].items():
            if own["kind"] == key.partition(".")[0]:
                inner = key.partition(".")[2]
                if (_at(own, inner.rpartition(".")[0]) or {}).get(name) is not None:
                    yield f"stages.{stage}.{inner}", value


def _at(tree: Any, key: str) -> Any:
    for part in filter(None, key.split(".")):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def recipe_changes(recipe: Recipe, small: Recipe, spec: RehearsalSpec) -> list[Change]:
    """Every key of the recipe that is another in the rehearsal, as the list has it."""
    sides = [each.model_dump(mode="json") for each in (recipe, small)]
    leaves = [flat(side) for side in sides]
    differ = (key for key in {**leaves[0], **leaves[1]} if _differ(key, *leaves))
    declared = {**spec.size, **spec.hardware}
    keys = dict.fromkeys(next((d for d in declared if _within(k, d)), k) for k in differ)
    old, new = ({key: _at(side, key) for key in keys} for side in sides)
    return [_change(key, old, new, "hardware" if key in spec.hardware else "size") for key in keys]


def _differ(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return bool(old.get(key, NONE) != new.get(key, NONE))


def _within(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.")


def trainer_changes(small: Recipe) -> list[Change]:
    """What the device alone changes in the files and commands of the stages: `stage file key`."""
    if small.cluster.device == "cuda":
        return []
    cluster = small.cluster.model_copy(update={"device": "cuda"})
    on_gpu = make_plan(small.model_copy(update={"cluster": cluster}), Path("runs"))
    changes = []
    for stage in make_plan(small, Path("runs")).stages:
        old, new = _leaves(on_gpu.stage(stage.name)), _leaves(stage)
        keys = [key for key in {**old, **new} if _differ(key, old, new)]
        changes += [_change(key, old, new, "hardware", f"{stage.name} ") for key in keys]
    return changes


def _leaves(stage: Stage) -> dict[str, Any]:
    """Every value that a stage reads, by file and key, with earlier stages by their names."""
    commands = {f"command environ.{k}": v for c in stage.steps for k, v in c.environ.items()}
    environments = dict.fromkeys(c.environment for c in stage.steps)
    trees = {"command environment": " ".join(environments), **commands}
    for name, tree in stage.contents.items():
        nested = tree if isinstance(tree, Mapping) else {"": tree}
        trees |= {f"{name} {key}": value for key, value in flat(nested).items()}
    return {key: replaced(value, _told) for key, value in trees.items()}


def _told(leaf: Any) -> Any:
    match leaf:
        case Output():
            return f"{leaf.stage.name if leaf.stage else ''}/{leaf.path}"
        case RunTime():
            return replaced(leaf.value, _told)
    return leaf


def _change(
    key: str, old: Mapping[str, Any], new: Mapping[str, Any], why: Why, where: str = ""
) -> Change:
    before, after = (_text(side[key]) if key in side else NONE for side in (old, new))
    return Change(where + key, before, after, why)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
