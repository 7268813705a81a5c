"""The training stages of a recipe: any number, each of a kind, in an order that they name.

What a stage leaves out is its kind's section: `rl.group_size=4` reaches every RL stage,
`stages.reason.group_size=4` one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from data_builders.specs import Spec
from orchestrator.recipe.policy import BASE, PolicyName, StageName
from orchestrator.recipe.rl import RlSpec
from orchestrator.recipe.sample import SampleSpec
from orchestrator.recipe.sft import SftSpec

RESERVED = frozenset(
    {BASE, "data", "benchmarks", "model", "external", "eval", "report", "plan", "publish", "export"}
)
"""Names of the stages that every recipe has, and of other folders of a run."""


class Start(Spec):
    """Where a stage starts, and on what."""

    start: PolicyName
    """Policy it starts from, `base | <stage>[:last|epoch:N|step:N]`. Left out, the stage before it,
    or `base` for the first."""
    questions: StageName
    """Set of questions: one of `data.sources` (sft, rl, test), or the stage that sampled it. Left
    out, the kind's own: `sft`, or `rl`."""


class SftStage(SftSpec, Start):
    """A stage of supervised fine-tuning."""

    kind: Literal["sft"]


class RlStage(RlSpec, Start):
    """A stage of reinforcement learning."""

    kind: Literal["rl"]


class SampleStage(SampleSpec, Start):
    """A stage that makes questions of a policy's responses."""

    kind: Literal["sample"]


StageSpec = Annotated[SftStage | RlStage | SampleStage, Field(discriminator="kind")]
TrainingStage = SftStage | RlStage
QUESTIONS = {"sft": "sft", "rl": "rl", "sample": "rl"}
"""Question set of a kind where a stage names none."""


def fill_stages(values: Mapping[str, Any]) -> Any:
    """The stages of a composed recipe, each laid over its kind's section.

    A stage that is null is left out: a recipe drops one of those that it starts from.
    """
    stages = values.get("stages") or {}
    if not isinstance(stages, Mapping):
        return stages  # the schema refuses it
    filled: dict[str, Any] = {}
    before = BASE
    for name, own in stages.items():
        if own is None:
            continue
        if not isinstance(own, Mapping) or own.get("kind") not in QUESTIONS:
            filled[name] = own
            continue
        kind = own["kind"]
        section = values.get(kind) or {}
        if not isinstance(section, Mapping):
            continue  # which is the mistake to tell
        shared = {key: _under(section, values, key) for key in ("frames", "prompt")}
        defaults = {**section, **shared, "start": before, "questions": QUESTIONS[kind]}
        stated = {key: value for key, value in own.items() if value is not None or key in section}
        filled[name] = _laid_over(defaults, stated)
        before = before if kind == "sample" else name
        for key in shared:
            if own.get(key) is None:
                filled[name][key] = section.get(key)
    return filled


def _under(section: Mapping[str, Any], values: Mapping[str, Any], key: str) -> Any:
    """What a stage's own `frames` or `prompt` is laid over: the section's, or the recipe's."""
    return section.get(key) or values.get(key)


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        known = result.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        result[key] = _laid_over(dict(known or {}), value) if both else value
    return result


def evaluated(kinds: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    """The policies worth comparing: the base, each that a stage starts from, each stage's last.

    `kinds` gives the kind and the start of every stage, in order. A stage that another starts from
    is shown by what that one starts from.
    """
    starts = [start for _, start in kinds.values()]
    names = [BASE]
    for stage, (kind, _) in kinds.items():
        if kind != "sample":
            used = [start for start in starts if start.partition(":")[0] == stage]
            names += dict.fromkeys(used or [stage])
    return tuple(names)


def ordered(stages: Mapping[str, StageSpec]) -> Iterator[str]:
    """Names of the stages, each after those that it starts from and whose questions it reads.

    Raises `ValueError` that names a circle.
    """
    waiting = dict(stages)
    while waiting:
        ready = [name for name in waiting if not _reads(stages, name) & waiting.keys()]
        if not ready:
            raise ValueError(f"{' and '.join(waiting)} start from, or read, one another")
        yield ready[0]
        del waiting[ready[0]]


def _reads(stages: Mapping[str, StageSpec], name: str) -> set[str]:
    spec = stages[name]
    samples = isinstance(stages.get(spec.questions), SampleStage)
    return {spec.start.partition(":")[0], *([spec.questions] if samples else [])}
