"""A sweep: one key of a recipe over several values, and what the paper found for each."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from data_builders.specs import Spec
from orchestrator.errors import RecipeError
from orchestrator.places import RECIPES
from orchestrator.plan.make import Plan, make_plan
from orchestrator.recipe import load_recipe

Value = int | float | str


class SweepSpec(Spec):
    """One of `recipes/sweep/*.yaml`."""

    key: str
    """The recipe's key that takes the values."""
    values: tuple[Value, ...] = Field(min_length=2)
    """One arm each."""
    instead: dict[str, dict[str, Value]] = Field(default_factory=dict)
    """Overrides of an arm whose value has a name only, in place of the key."""
    always: dict[str, Value] = Field(default_factory=dict)
    """Overrides of every arm. Evaluated is the policy that is trained last."""
    paper: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """The paper's accuracy in percent by task, in the order of the values."""

    @model_validator(mode="after")
    def _columns_fit(self) -> SweepSpec:
        if len(set(self.labels)) < len(self.values):
            raise ValueError(f"values: {', '.join(self.labels)} has a value twice")
        if any(len(column) != len(self.values) for column in self.paper.values()):
            raise ValueError("paper: give one number for each value")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as they are shown."""
        return tuple(str(value) for value in self.values)

    def overrides(self, value: Value) -> list[str]:
        """Overrides of the arm with `value`."""
        own = self.instead.get(str(value), {self.key: value})
        return [f"{key}={text}" for key, text in {**self.always, **own}.items()]

    def expected(self, task: str) -> dict[str, float]:
        """The paper's share of right answers for `task` by label, as far as it gives one."""
        column = self.paper.get(task, ())
        return {label: number / 100 for label, number in zip(self.labels, column, strict=False)}


@dataclass(frozen=True)
class Arm:
    """One value under one seed, as a plan of its own."""

    label: str
    seed: int
    plan: Plan


def load_sweep(
    name: str | None, values: Sequence[Value] = (), key: str | None = None, root: Path = RECIPES
) -> SweepSpec:
    """`recipes/sweep/<name>.yaml` with other values or another key where given.

    Without a name both are needed. Raises `RecipeError` for an unknown name, fewer than two
    values, or a value given twice.
    """
    known = sorted(path.stem for path in (root / "sweep").glob("*.yaml"))
    if name is not None and name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise RecipeError(f"sweep={name}: no such sweep; known: {', '.join(close or known)}")
    if name is None and (key is None or not values):
        raise RecipeError(f"give sweep= ({', '.join(known)}), or sweep_key= and sweep_values=")
    spec = yaml.safe_load((root / "sweep" / f"{name}.yaml").read_text()) if name else {}
    if key is not None and key != spec.get("key"):
        spec = {"key": key, "values": spec.get("values", ())}
    if values:
        columns = spec.get("paper", {}).items()
        chosen = {task: _chosen(spec, column, values) for task, column in columns}
        paper = {task: column for task, column in chosen.items() if column is not None}
        spec = {**spec, "values": list(values), "paper": paper}
    try:
        return SweepSpec.model_validate(spec)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})"
            for e in error.errors()
        )
        raise RecipeError(f"sweep={name or key}: {told}") from None


def expand(
    sweep: SweepSpec,
    name: str,
    overrides: Sequence[str],
    seeds: Sequence[int],
    runs: Path,
    to: Path,
) -> tuple[list[Arm], str]:
    """The arms of `sweep` over the recipe `name`, and the label of the recipe's own value.

    Every arm is a plan over the same stages' store, so that equal stages are one; `to` is where
    each arm's run directory is. Without `seeds`, the recipe's own. Raises `RecipeError` for
    a key or a value that the recipe doesn't take.
    """
    always = [f"{key}={value}" for key, value in sweep.always.items()]
    seeded = [[f"seed={seed}"] for seed in seeds] or [[]]
    own = load_recipe(name, [*overrides, *seeded[0], *always])
    if not any(word.startswith("eval.checkpoints=") for word in overrides):
        overrides = [*overrides, f"eval.checkpoints=[{own.checkpoints[-1]}]"]
        own = load_recipe(name, [*overrides, *seeded[0], *always])
    arms: list[Arm] = []
    for label, value in zip(sweep.labels, sweep.values, strict=True):
        for seed in seeded:
            recipe = load_recipe(name, [*overrides, *seed, *sweep.overrides(value)])
            plan = make_plan(recipe, runs)
            directory = to / f"{label.replace(':', '-')}-seed{recipe.seed}"
            arms.append(Arm(label, recipe.seed, replace(plan, directory=directory)))
    reference = make_plan(own, runs).stage("eval").fingerprint
    same = [arm.label for arm in arms if arm.plan.stage("eval").fingerprint == reference]
    return arms, (same or [arms[0].label])[0]


def _chosen(
    spec: dict[str, list[Value]], column: Sequence[float], values: Sequence[Value]
) -> list[float] | None:
    """The paper's numbers for `values`; None unless it has one for each."""
    known = dict(zip(map(str, spec["values"]), column, strict=True))
    wanted = [known.get(str(value)) for value in values]
    return [number for number in wanted if number is not None] if None not in wanted else None
