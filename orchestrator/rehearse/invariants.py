"""What must hold of a rehearsal, whatever its recipe: each with its bound, figure and verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from data_builders.specs import SyntheticSpec
from orchestrator.doctor.advice import text_tokens
from orchestrator.doctor.backbones import visual_tokens
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import Stage
from orchestrator.recipe import Recipe
from orchestrator.recipe.rl import RlSpec
from orchestrator.recipe.stages import RlStage, SftStage
from orchestrator.rehearse.probe import numbering
from orchestrator.rehearse.report import Invariant
from orchestrator.run import history, manifest, sound

APART = {"bf16": 0.1, "fp32": 1e-3}
"""Most that a token's probability in rollout and actor may differ (measured: 0.03, 8e-4)."""
FIRST_KL = 1e-4
"""Nats a token to the reference in the first step, whose first update starts at the reference."""
MOST_MERGE_KL = 0.05
LOSSES = ("loss", "actor/loss", "actor/pg_loss")
CHECK = "check.json"
"""How each merged checkpoint compares with its source (`reward_plugins/merge/verl.py`)."""
NOT_COVERED = (
    "the exchange of weights itself (only that rollout and actor agree after it)",
    "EasyR1",
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
            yield from _policy(stage, spec)
            yield from _state(stage, spec)
            yield from _weights(stage)
            yield _prompts(stage, recipe, made)
    yield from _numbering(plan)
    yield from _evaluation(plan)
    yield _memory(peak)


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


def _policy(stage: Stage, spec: RlSpec) -> Iterator[Invariant]:
    """Rollout and actor are the same policy, and it starts where the reference is."""
    rows, most = history.read(stage.directory), APART[spec.precision]
    apart = [row["training/rollout_probs_diff_max"] for row in rows]
    shown = ", ".join(f"{value:.1e}" for value in apart)
    name = f"{stage.name}: probabilities, rollout against actor, by step"
    yield Invariant(name, f"at most {most:g} ({spec.precision})", shown, max(apart) <= most)
    if spec.kl.enabled:
        kl = [row["actor/kl_loss"] for row in rows]
        name = f"{stage.name}: KL to the reference, by step"
        shown = ", ".join(f"{value:.1e}" for value in kl)
        yield Invariant(name, f"first at most {FIRST_KL:g}", shown, abs(kl[0]) <= FIRST_KL)


def _state(stage: Stage, spec: RlSpec) -> Iterator[Invariant]:
    """What the trainer remembers beside the weights goes on over a resume."""
    rows = history.read(stage.directory)
    counts = [row.get("training/filter_groups/generated_prompts", 0) for row in rows]
    shown, least = ", ".join(f"{count:g}" for count in counts), spec.prompts_per_step
    name = f"{stage.name}: prompts generated, by step"
    yield Invariant(name, f"at least {least}", shown, min(counts) >= least)
    if spec.advantage != "ema_grpo":
        return
    folders = sorted((stage.directory / "checkpoints").glob("global_step_*/ema_grpo.json"))
    states = [json.loads(path.read_text())["tasks"] for path in folders]
    moved = [
        abs(now - before)
        for old, new in pairwise(states)
        for task in old
        for before, now in zip(old[task], new[task], strict=True)
    ]
    most = 1 - spec.ema.beta
    name = f"{stage.name}: a step's move of the EMA, {len(states)} states"
    right = len(states) == len(rows) and max(moved, default=0) <= most + 1e-9
    yield Invariant(name, f"at most 1 - beta = {most:.3g}", f"{max(moved, default=0):.2e}", right)


def _weights(stage: Stage) -> Iterator[Invariant]:
    """The policy moves, and what is merged is what was trained."""
    steps = sorted(stage.directory.glob("step-*"), key=lambda path: int(path.name[5:]))
    checks = json.loads((stage.directory / CHECK).read_text())
    kl = max(check["kl_nats_per_token"] for check in checks.values())
    name = f"{stage.name}: logits, merged against trained, nats a token"
    yield Invariant(name, f"at most {MOST_MERGE_KL:g}", f"{kl:.1e}", kl <= MOST_MERGE_KL)
    if len(steps) > 1:
        other = [_bytes(step) for step in (steps[0], steps[-1])]
        share = float(np.mean(other[0] != other[1])) if len(other[0]) == len(other[1]) else 1.0
        name = f"{stage.name}: weights changed, {steps[0].name} to {steps[-1].name}"
        yield Invariant(name, "some", f"{share:.1%} of their bytes", share > 0)


def _bytes(checkpoint: Path) -> np.ndarray:  # type: ignore[type-arg]
    files = sorted(checkpoint.glob("*.safetensors"))
    return np.concatenate([np.fromfile(path, np.uint8) for path in files])


def _prompts(stage: Stage, recipe: Recipe, made: SyntheticSpec) -> Invariant:
    """The estimate of a prompt's tokens, which decides what fits, is not below what they are."""
    rows, spec = history.read(stage.directory), recipe.rl.frames or recipe.frames
    longest = max(row["prompt_length/max"] for row in rows)
    frames = spec.count(made.frames / made.fps, made.frames)
    most = visual_tokens(frames, made.height * made.width, spec) + text_tokens(recipe)
    name = f"{stage.name}: tokens of the longest prompt"
    return Invariant(name, f"at most the estimated {most}", f"{longest:g}", longest <= most)


def _resumed(stage: Stage) -> Invariant:
    """The trainer was killed behind its first checkpoint, and went on from there."""
    attempts = manifest.attempts(stage.directory)
    source = attempts[-1].get("resumed_from")
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


def _memory(peak: Mapping[str, int]) -> Invariant:
    import psutil  # not needed to plan

    most = psutil.virtual_memory().total
    shown = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in peak.items())
    right = max(peak.values(), default=0) < most
    return Invariant("peak host memory, GB", f"below this machine's {most / 1e9:.0f}", shown, right)
