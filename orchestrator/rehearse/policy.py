"""What must hold of a stage of reinforcement: of its policy, its state, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from data_builders.specs import SyntheticSpec
from orchestrator.doctor.advice import text_tokens
from orchestrator.doctor.sheets import visual_tokens
from orchestrator.plan.stage import Stage
from orchestrator.recipe import Recipe
from orchestrator.recipe.rl import RlSpec
from orchestrator.rehearse.report import Invariant
from orchestrator.run import history

APART = {"bf16": 0.1, "fp32": 1e-3}
"""Most that a token's probability in rollout and actor may differ (measured: 0.03, 8e-4)."""
FIRST_KL = 1e-4
"""Nats a token to the reference in the first step, whose first update starts at the reference."""
MOST_MERGE_KL = 0.05
"""Nats a token that the cast of a merge may cost."""
CHECK = "check.json"
"""How each merged checkpoint compares with its source (`reward_plugins/merge/verl.py`)."""


def of_policy(stage: Stage, recipe: Recipe, made: SyntheticSpec) -> Iterator[Invariant]:
    """The invariants of the stage, which `recipe` describes as its kind's section."""
    yield from _agreement(stage, recipe.rl)
    yield from _state(stage, recipe.rl)
    yield from _weights(stage)
    yield _prompts(stage, recipe, made)


def _agreement(stage: Stage, spec: RlSpec) -> Iterator[Invariant]:
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
