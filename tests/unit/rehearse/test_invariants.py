"""Each invariant holds of a right rehearsal, and each fault breaks its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.plan.make import Plan, make_plan
from orchestrator.rehearse import invariants as module
from orchestrator.rehearse.changes import load_spec, rehearsed
from orchestrator.rehearse.report import Invariant

SPEC = load_spec("cpu")
PEAK = {"sft": 3 * 10**9, "rl": 8 * 10**9, "eval": 6 * 10**9}
EMA = {1: [0.30, 0.20], 2: [0.305, 0.205], 3: [0.31, 0.20]}
NUMBERED = {"furthest": 0, "prompts": 8}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def weights(path: Path, values: list[int]) -> None:
    """A checkpoint of one bf16 tensor, given by its bits."""
    data = np.array(values, "<u2").tobytes()
    tensor = {"dtype": "BF16", "shape": [len(values)], "data_offsets": [0, len(data)]}
    header = json.dumps({"head": tensor}).encode()
    path.mkdir(parents=True, exist_ok=True)
    (path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)


def rows(directory: Path, each: list[dict[str, float]], *steps: int) -> None:
    lines = [
        json.dumps({"step": step, "data": data, "total": len(each)})
        for step, data in zip(steps or range(1, len(each) + 1), each, strict=True)
    ]
    write(directory / "metrics.jsonl", "".join(f"{line}\n" for line in lines))


def attempts(directory: Path, *sources: str | None) -> None:
    noted = ({"log": "a", "started": 0.0, "resumed_from": source} for source in sources)
    write(directory / "attempts.jsonl", "".join(f"{json.dumps(row)}\n" for row in noted))


def step(number: int, **other: float) -> dict[str, float]:
    row: dict[str, float] = {
        "actor/loss": 0.0,
        "actor/kl_loss": 1e-3 * (number - 1),
        "training/rollout_probs_diff_max": 0.02,
        "training/filter_groups/generated_prompts": 8,
        "prompt_length/max": 161,
    }
    return {**row, **{key.replace("__", "/"): value for key, value in other.items()}}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A rehearsal of which all holds."""
    monkeypatch.setattr(module, "numbering", lambda plan, name: NUMBERED)
    made = make_plan(rehearsed("camreasoner_7b", [], SPEC)[1], tmp_path)
    sft, rl, evaluation = (made.stage(name).directory for name in ("sft", "rl", "eval"))
    rows(sft, [{"loss": 3.0}, {"loss": 2.0}])
    write(sft / "checkpoints/checkpoint-2/trainer_state.json", {"max_steps": 2})
    weights(sft / "epoch-1", [0x3F80])
    attempts(sft, None, "checkpoint-1")
    rows(rl, [step(1), step(2), step(3)])
    for number, average in EMA.items():
        state = {"tasks": {"binary": average}}
        write(rl / f"checkpoints/global_step_{number}/ema_grpo.json", state)
        weights(rl / f"step-{number}", [0x3F80, 0x3F80 + number])
    write(rl / "check.json", {"step-3": {"kl_nats_per_token": 1e-4}})
    attempts(rl, None, "global_step_1")
    everyone = {name: {"shown": {"all": {"n": 16}}} for name in ("base", "rl")}
    write(
        evaluation / "scores.json", {"benchmarks": {"held_out": {"n": 16, "checkpoints": everyone}}}
    )
    return made


def broken(plan: Plan, peak: dict[str, int] = PEAK) -> list[str]:
    found: list[Invariant] = list(module.invariants(plan, peak, SPEC.stand_ins))
    return [row.name.partition(",")[0] for row in found if not row.right]


def test_all_holds_of_a_right_one(plan: Plan) -> None:
    assert broken(plan) == []


@pytest.mark.parametrize("peak", [{}, {"sft": 1, "rl": 1}, {**PEAK, "rl": 10**15}])
def test_memory_that_was_not_measured_or_is_too_much_does_not_hold(
    plan: Plan, peak: dict[str, int]
) -> None:
    assert broken(plan, peak) == ["peak host memory"]


def of_rl(each: list[dict[str, float]]) -> Callable[[Plan], None]:
    return lambda plan: rows(plan.stage("rl").directory, each)


def of_scores(plan: Plan) -> None:
    path = plan.stage("eval").directory / "scores.json"
    write(path, path.read_text().replace('{"n": 16}', '{"n": 15}', 1))


FAULTS: dict[str, Callable[[Plan], None]] = {
    "sft: updates": lambda plan: rows(plan.stage("sft").directory, [{"loss": 3.0}]),
    "sft: losses": lambda plan: rows(plan.stage("sft").directory, [{"loss": 3.0}, {"loss": 0.0}]),
    "sft: NaN in saved weights": lambda plan: weights(
        plan.stage("sft").directory / "epoch-1", [0x7FC0]
    ),
    "sft: killed behind its first checkpoint": lambda plan: attempts(
        plan.stage("sft").directory, None, None
    ),
    "rl: updates": lambda plan: rows(
        plan.stage("rl").directory, [step(1), step(2), step(2)], 1, 2, 2
    ),
    "rl: losses": of_rl([step(1), step(2), step(3, actor__loss=float("nan"))]),
    "rl: probabilities": of_rl([step(1), step(2, training__rollout_probs_diff_max=0.2), step(3)]),
    "rl: KL to the reference": of_rl([step(2), step(2), step(3)]),
    "rl: prompts generated": of_rl(
        [step(1), step(2, training__filter_groups__generated_prompts=4), step(3)]
    ),
    "rl: tokens of the longest prompt": of_rl([step(1), step(2), step(3, prompt_length__max=512)]),
    "rl: a step's move of the EMA": lambda plan: write(
        plan.stage("rl").directory / "checkpoints/global_step_2/ema_grpo.json",
        {"tasks": {"binary": [0.5, 0.4]}},
    ),
    "rl: logits": lambda plan: write(
        plan.stage("rl").directory / "check.json", {"step-3": {"kl_nats_per_token": 0.2}}
    ),
    "rl: weights changed": lambda plan: weights(
        plan.stage("rl").directory / "step-3", [0x3F80, 0x3F81]
    ),
    "rl: killed behind its first checkpoint": lambda plan: attempts(
        plan.stage("rl").directory, None
    ),
    "eval: answers to held_out": of_scores,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_breaks_its_own_invariant(name: str, plan: Plan) -> None:
    FAULTS[name](plan)
    assert broken(plan) == [name]


def test_another_numbering_breaks_that_of_each_stage(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "numbering", lambda plan, name: {"furthest": 5, "prompts": 8})
    assert broken(plan) == ["sft: position ids", "rl: position ids"]
