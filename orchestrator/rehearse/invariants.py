"""What must hold of a rehearsal, whatever its recipe: each with its bound, figure and verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from data_builders.specs import SyntheticSpec
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import Stage
from orchestrator.recipe.stages import RlStage, SftStage
from orchestrator.rehearse.policy import of_policy
from orchestrator.rehearse.probe import numbering
from orchestrator.rehearse.report import Invariant
from orchestrator.run import history, sound
from orchestrator.run.attempts import read_attempts

LOSSES = ("loss", "actor/loss", "actor/pg_loss")
NOT_COVERED = (
    "the exchange of weights itself (only that rollout and actor agree after it)",
    "EasyR1, and other architectures than Qwen2.5-VL's",
    "a head apart from the embedding (7B has one; the small model has one for both, as 3B)",
    "fetching (stand-ins lie where fetched files are kept)",
    "memory and time of the real sizes (make plan and make doctor estimate them)",
    "more than one node",
)
ONLY_GPU = (
    "flash-attention and padding-free batches, CUDA graphs, sleep mode, NCCL and CUDA-IPC: "
    "rehearsal.device=cuda has them",
)


def invariants(plan: Plan, peak: Mapping[str, int], made: SyntheticSpec) -> Iterator[Invariant]:
    """Every invariant of a rehearsal that ran to its end, on clips `made` so.

    `peak` is the most memory of each stage, in bytes.
    """
    for name, spec in plan.recipe.stages.items():
        stage, recipe = plan.stage(name), plan.recipe.at(name)
        if isinstance(spec, SftStage | RlStage):
            yield from _training(stage, spec.max_steps)
            yield _resumed(stage)
        if isinstance(spec, RlStage):
            yield from of_policy(stage, recipe, made)
    yield from _numbering(plan)
    yield from _evaluation(plan)
    yield _memory(peak, [*plan.recipe.stages, "eval"])


def _training(stage: Stage, most: int | None) -> Iterator[Invariant]:
    """Each update once and none left out, with losses and weights that are numbers."""
    rows = history.read(stage.directory)
    steps = [int(row["step"]) for row in rows]
    planned = most or _planned(stage)
    whole = steps == list(range(1, planned + 1))
    yield Invariant(f"{stage.name}: updates", f"1 to {planned}, each once", _range(steps), whole)
    losses = [row[key] for row in rows for key in LOSSES if key in row]
    finite = [value for value in losses if np.isfinite(value)]
    dead = [v for v in losses if not np.isfinite(v) or ("loss" in rows[0] and v == 0)]
    span = f"{min(finite):.3g} to {max(finite):.3g}" if finite else "none"
    yield Invariant(f"{stage.name}: losses", "numbers; in SFT never exactly 0", span, not dead)
    files = sorted({path.resolve() for path in stage.directory.glob("*-*/*.safetensors")})
    broken = [name for path in files for name in sound.not_finite(path)]
    figure = f"{len(broken)} tensors of {len(files)} files"
    yield Invariant(
        f"{stage.name}: NaN in saved weights", "none", figure, bool(files) and not broken
    )


def _planned(stage: Stage) -> int:
    """Steps that the trainer itself planned."""
    states = sorted(stage.directory.glob("checkpoints/checkpoint-*/trainer_state.json"))
    if states:
        return int(json.loads(states[-1].read_text())["max_steps"])
    last = (stage.directory / history.FILE).read_text().splitlines()[-1]
    return int(json.loads(last)["total"])


def _range(steps: list[int]) -> str:
    if steps == list(range(steps[0], steps[-1] + 1)):
        return f"{steps[0]} to {steps[-1]}"
    return ", ".join(map(str, steps))


def _resumed(stage: Stage) -> Invariant:
    """The trainer was killed behind its first checkpoint, and went on from there."""
    attempts = read_attempts(stage.directory)
    source = attempts[-1].resumed_from
    figure = f"{len(attempts)} attempts, the last from {source or 'the start'}"
    right = len(attempts) > 1 and bool(source)
    name = f"{stage.name}: killed behind its first checkpoint"
    return Invariant(name, "goes on from there", figure, right)


def _numbering(plan: Plan) -> Iterator[Invariant]:
    """One order of time: vLLM's rule (rollout, evaluation), and ours (SFT, actor)."""
    for name, spec in plan.recipe.stages.items():
        if isinstance(spec, SftStage | RlStage):
            found = numbering(plan, name)
            figure = f"{found['furthest']} apart, {found['prompts']} prompts"
            title = f"{name}: position ids, vLLM's rule against that of SFT and the actor"
            yield Invariant(title, "equal", figure, found["furthest"] == 0)


def _evaluation(plan: Plan) -> Iterator[Invariant]:
    """Each checkpoint answered each question."""
    scores = json.loads((plan.stage("eval").directory / "scores.json").read_text())
    for benchmark, board in scores["benchmarks"].items():
        answered = {name: row["shown"]["all"]["n"] for name, row in board["checkpoints"].items()}
        shown = ", ".join(f"{name} {n}" for name, n in answered.items())
        right = bool(answered) and set(answered.values()) == {board["n"]}
        yield Invariant(f"eval: answers to {benchmark}", f"{board['n']} of each", shown, right)


def _memory(peak: Mapping[str, int], measured: Sequence[str]) -> Invariant:
    """Of each stage that holds a model there is a figure, and it fits."""
    import psutil  # not needed to plan

    most = psutil.virtual_memory().total
    shown = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in peak.items())
    right = set(measured) <= peak.keys() and max(peak.values()) < most
    return Invariant("peak host memory, GB", f"below this machine's {most / 1e9:.0f}", shown, right)
