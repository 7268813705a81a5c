"""What a recipe's stages, and its evaluation, can name: policies that are saved, question sets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_builders.source_specs import OWN_SOURCE
from orchestrator.recipe.policy import BASE, GRAMMAR, Policy, parse_policy
from orchestrator.recipe.schema import Recipe
from orchestrator.recipe.stages import RESERVED, RlStage, SampleStage, TrainingStage, ordered

SETS = ("sft", "rl", "test")
"""Question sets that the data stage always leaves."""


def policies(recipe: Recipe) -> Iterator[str]:
    """A stage can only start from, and evaluation ask, a checkpoint that is saved before."""
    if reserved := sorted(RESERVED & recipe.stages.keys()):
        yield f"stages: {', '.join(reserved)} is the name of another part of a run; choose another"
    for name in _question_sets(recipe):
        if isinstance(recipe.stages.get(name), SampleStage):
            yield f"stages.{name}: samples a set of questions, and {name} is one of data.sources'"
    if taken := sorted({BASE, *recipe.stages, *recipe.checkpoints} & recipe.eval.models.keys()):
        yield f"eval.models: {', '.join(taken)} names a policy of this recipe; choose another"
    named = [(f"stages.{name}.start", spec.start) for name, spec in recipe.stages.items()]
    for key, name in (*named, *(("eval.checkpoints", name) for name in recipe.checkpoints)):
        yield from _policy(recipe, key, parse_policy(name))
    try:
        list(ordered(recipe.stages))
    except ValueError as error:
        yield f"stages: {error}"


def _policy(recipe: Recipe, key: str, policy: Policy) -> Iterator[str]:
    spec = recipe.stages.get(policy.stage)
    if spec is None and policy.stage != BASE:
        known = ", ".join([BASE, *recipe.stages])
        yield f"{key}: {policy} names no stage of this recipe ({known}): {GRAMMAR}"
    elif isinstance(spec, SampleStage):
        yield f"{key}: {policy.stage} samples questions and trains no policy"
    elif spec is None and policy.unit != "last":
        yield f"{key}: {policy} is the base model, which has no checkpoints"
    elif spec is not None:
        yield from _saved(key, policy, spec)


def _saved(key: str, policy: Policy, spec: TrainingStage) -> Iterator[str]:
    name, unit, number = policy.stage, policy.unit, policy.number
    if unit == "epoch" and isinstance(spec, RlStage):
        yield f"{key}: {policy}: {name} saves steps, not epochs; name a multiple of its save_every"
    elif unit == "epoch" and spec.save_every != "epoch":
        yield f"{key}: {policy} is not saved; set {spec.kind}.save_every=epoch"
    elif unit == "epoch" and spec.max_steps is None and number > spec.epochs:
        yield f"{key}: {policy} is beyond {spec.kind}.epochs {spec.epochs:g}"
    elif unit == "step" and spec.max_steps is not None and number > spec.max_steps:
        yield f"{key}: {policy} is beyond {spec.kind}.max_steps {spec.max_steps}"
    elif unit == "step" and not _is_saved(number, spec):
        yield f"{key}: {policy} is not saved with {spec.kind}.save_every={spec.save_every}"


def _is_saved(step: int, spec: TrainingStage) -> bool:
    """The end of training is saved too."""
    return step == spec.max_steps or (spec.save_every != "epoch" and step % spec.save_every == 0)


def questions(recipe: Recipe) -> Iterator[str]:
    """Question sets that a stage names exist when it starts."""
    sets = _question_sets(recipe)
    sampling = [name for name, s in recipe.stages.items() if isinstance(s, SampleStage)]
    open_ended = any(re.fullmatch(OWN_SOURCE, name) for name in recipe.data.sources)
    for name, spec in recipe.stages.items():
        if spec.questions in (*sets, *sampling):
            continue
        if spec.questions in recipe.stages:
            yield f"stages.{name}.questions: {spec.questions} trains, and leaves no questions"
        elif not open_ended:  # a function of the user's own returns sets by names of its own
            known = ", ".join([*sets, *sampling])
            yield f"stages.{name}.questions: no set called {spec.questions}; there are {known}"


def _question_sets(recipe: Recipe) -> list[str]:
    """Question sets that the data stage is known to leave."""
    files = (recipe.data.files or {}).items()
    named = [name for source, spec in files if source in recipe.data.sources for name in spec.sets]
    return list(dict.fromkeys([*SETS, *named]))
