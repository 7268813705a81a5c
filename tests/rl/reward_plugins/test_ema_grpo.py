"""EMA-GRPO against its closed form, its invariances, and its state across interruptions."""

from __future__ import annotations

import json
import math
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.ema_grpo import (
    EPSILON,
    BatchError,
    EmaNormalizer,
    EmaSettingError,
    EmaStateError,
    load_state,
    save_state,
    token_advantages,
)
from reward_plugins.errors import CamReasonerError

Batch = tuple[list[float], list[str], list[str]]


def make_batch(rng: random.Random, prompts: int = 6, size: int = 4) -> Batch:
    scores = [rng.choice([0.0, 0.1, 0.9, 1.0]) for _ in range(prompts * size)]
    groups = [f"uid{i}" for i in range(prompts) for _ in range(size)]
    tasks = [("binary", "choice")[i % 2] for i in range(prompts) for _ in range(size)]
    return scores, groups, tasks


def make_batches(seed: int, n: int) -> list[Batch]:
    rng = random.Random(seed)
    return [make_batch(rng) for _ in range(n)]


batches = st.integers(0, 2**32).map(lambda seed: make_batch(random.Random(seed)))
statistics = st.sampled_from(["moments", "std"])


def run(normalizer: EmaNormalizer, steps: list[Batch]) -> list[list[float]]:
    return [
        normalizer.advantages(torch.tensor(s, dtype=torch.float64), g, t).tolist()
        for s, g, t in steps
    ]


def closed_form(steps: list[Batch], beta: float, statistic: str) -> np.ndarray[Any, Any]:
    """Advantages of the last step by the weighted sum that the recursion unrolls to."""
    n = len(steps)
    weights = np.array([beta ** (n - 1)] + [(1 - beta) * beta ** (n - 1 - i) for i in range(1, n)])
    scores, groups, tasks = (np.array(x) for x in steps[-1])
    out = np.zeros(len(scores))
    for task in set(tasks):
        past = [np.array(s)[np.array(t) == task] for s, _, t in steps]
        first = weights @ [x.mean() for x in past]
        second = weights @ [(x**2).mean() for x in past]
        std = math.sqrt(max(second - first**2, 0)) if statistic == "moments" else None
        std = max(std if std is not None else weights @ [x.std() for x in past], 1e-3)
        for group in set(groups[tasks == task]):
            own = scores[groups == group] - scores[groups == group].mean()
            scaled = own / (std + EPSILON)
            guarded = np.abs(scaled).max() > 5
            out[groups == group] = own / (own.std() + EPSILON) if guarded else scaled
    return out


@given(st.integers(0, 2**32), st.integers(1, 5), st.floats(0, 0.999), statistics)
def test_advantages_are_the_closed_form(seed: int, n: int, beta: float, statistic: str) -> None:
    steps = make_batches(seed, n)
    last = run(EmaNormalizer(beta, statistic), steps)[-1]
    np.testing.assert_allclose(last, closed_form(steps, beta, statistic), rtol=1e-7, atol=1e-9)


def test_one_batch_by_hand() -> None:
    scores, groups = [1.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"]
    advantages = EmaNormalizer().advantages(torch.tensor(scores), groups, ["t"] * 4)
    unit = 0.5 / (math.sqrt(0.75 - 0.75**2) + 1e-6)
    assert advantages.tolist() == pytest.approx([unit, -unit, 0.0, 0.0], rel=1e-6)


def test_moments_and_std_are_different_averages() -> None:
    # Batches of constant scores: no batch has a std, but their means differ.
    flat = [([x] * 4, ["a", "a", "b", "b"], ["t"] * 4) for x in (0.0, 1.0)]
    moments, std = EmaNormalizer(0.5, "moments"), EmaNormalizer(0.5, "std")
    run(moments, flat), run(std, flat)
    assert moments.std("t") == 0.5
    assert std.std("t") == 1e-3


def test_beta_zero_with_std_is_batch_std_grpo() -> None:
    *_, (scores, groups, _) = steps = make_batches(3, 4)
    one_task = [(s, g, ["t"] * len(t)) for s, g, t in steps]
    last = run(EmaNormalizer(0.0, "std"), one_task)[-1]
    values, names = np.array(scores), np.array(groups)
    means = np.array([values[names == name].mean() for name in groups])
    np.testing.assert_allclose(last, (values - means) / (values.std() + EPSILON), rtol=1e-12)


@given(batches, st.randoms(use_true_random=False), statistics)
def test_order_of_rows_changes_no_bit(batch: Batch, rng: random.Random, statistic: str) -> None:
    order = list(range(len(batch[0])))
    rng.shuffle(order)
    shuffled: Any = tuple([column[i] for i in order] for column in batch)
    one, other = EmaNormalizer(0.9, statistic), EmaNormalizer(0.9, statistic)
    (straight,), (mixed,) = run(one, [batch]), run(other, [shuffled])
    assert [straight[i] for i in order] == mixed
    assert one.state_dict() == other.state_dict()


@given(batches, batches)
def test_order_of_tasks_changes_no_bit(first: Batch, second: Batch) -> None:
    together, apart = EmaNormalizer(), EmaNormalizer()
    run(together, [first, second])
    for batch in (first, second):
        for task in ("choice", "binary"):
            kept = [i for i, name in enumerate(batch[2]) if name == task]
            run(apart, [tuple([column[i] for i in kept] for column in batch)])  # type: ignore[list-item]
    assert together.state_dict() == apart.state_dict()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.integers(2, 4))
def test_centred_within_groups_and_zero_for_equal_scores(scores: list[float], copies: int) -> None:
    groups = ["mixed"] * len(scores) + ["flat"] * copies
    out = EmaNormalizer().advantages(
        torch.tensor(scores + [0.1] * copies).double(), groups, ["t"] * len(groups)
    )
    assert out[len(scores) :].tolist() == [0.0] * copies
    assert abs(float(out[: len(scores)].sum())) < 1e-9
    assert float(out.abs().max()) <= 5.0  # beyond, and a group of 9 falls back to at most √8


def test_guard_falls_back_to_the_groups_own_std() -> None:
    calm = [([0.0, 0.001] * 4, ["a", "b"] * 4, ["t"] * 8)]
    loud = [([0.0, 1.0, 0.0, 0.0005], ["a", "a", "b", "b"], ["t"] * 4)]
    normalizer = EmaNormalizer(beta=0.9999)
    run(normalizer, calm)
    ((low, high, *rest),) = run(normalizer, loud)
    assert (low, high) == pytest.approx((-1.0, 1.0), rel=1e-5)  # its own std is 0.5
    assert rest[1] == pytest.approx(0.00025 / (normalizer.std("t") + EPSILON))
    assert normalizer.metrics()["ema_grpo/guarded_groups"] == 1.0


def test_a_std_has_a_floor() -> None:
    normalizer = EmaNormalizer(min_std=0.25)
    run(normalizer, [([0.5] * 4, ["a", "a", "b", "b"], ["t"] * 4)])
    assert normalizer.metrics() == {"ema_grpo/std/t": 0.25, "ema_grpo/guarded_groups": 0.0}


@pytest.mark.parametrize("statistic", ["moments", "std"])
@pytest.mark.parametrize("k", [0, 1, 4, 7])
def test_an_interrupted_run_repeats_every_bit(tmp_path: Path, statistic: str, k: int) -> None:
    steps = make_batches(11, 8)
    whole = EmaNormalizer(0.99, statistic)
    expected = run(whole, steps)
    before, after = EmaNormalizer(0.99, statistic), EmaNormalizer(0.99, statistic)
    run(before, steps[:k])
    save_state(tmp_path / "new" / "ema.json", before)
    load_state(tmp_path / "new" / "ema.json", after)
    assert run(after, steps[k:]) == expected[k:]
    assert after.state_dict() == whole.state_dict()


@given(st.integers(0, 2**32), statistics)
def test_state_survives_json(seed: int, statistic: str) -> None:
    normalizer, copy = EmaNormalizer(0.7, statistic), EmaNormalizer(0.7, statistic)
    run(normalizer, make_batches(seed, 3))
    copy.load_state_dict(json.loads(json.dumps(normalizer.state_dict())))
    assert copy.state_dict() == normalizer.state_dict()
    assert copy.std("binary") == normalizer.std("binary")


def test_state_of_other_settings_is_refused() -> None:
    state = EmaNormalizer(0.99).state_dict()
    for other in (EmaNormalizer(0.9), EmaNormalizer(0.99, "std")):
        with pytest.raises(EmaStateError, match="own settings"):
            other.load_state_dict(state)


@pytest.mark.parametrize(
    "tasks", [None, [], {"t": [1.0]}, {"t": "x"}, {"t": [1.0, math.nan]}, {"t": [1, 2]}]
)
def test_damaged_state_is_refused(tasks: object) -> None:
    with pytest.raises(EmaStateError):
        EmaNormalizer().load_state_dict({"beta": 0.99, "statistic": "moments", "tasks": tasks})


def test_missing_and_truncated_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ema.json"
    with pytest.raises(EmaStateError, match=r"ema\.json"):
        load_state(path, EmaNormalizer())
    path.write_text('{"beta": 0.99, "stat')
    with pytest.raises(EmaStateError, match=r"ema\.json is damaged"):
        load_state(path, EmaNormalizer())


@pytest.mark.parametrize(
    ("batch", "fault"),
    [
        (([1.0, 0.0], ["a"], ["t"]), "2 scores, 1 groups"),
        (([1.0, 0.0, 1.0], ["a", "a", "b"], ["t"] * 3), "'b' has one response"),
        (([1.0, math.nan], ["a", "a"], ["t"] * 2), "'a'.*finite"),
        (([1.0, math.inf], ["a", "a"], ["t"] * 2), "'a'.*finite"),
        (([1.0, 0.0], ["a", "a"], ["t", "u"]), "'a' has several tasks"),
    ],
)
def test_a_bad_batch_raises_and_leaves_the_state(batch: Batch, fault: str) -> None:
    normalizer = EmaNormalizer()
    run(normalizer, make_batches(1, 1))
    before = normalizer.state_dict()
    with pytest.raises(BatchError, match=fault) as caught:
        run(normalizer, [batch])
    assert normalizer.state_dict() == before
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, CamReasonerError) and str(copy) == str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [{"beta": 1.0}, {"beta": -0.1}, {"statistic": "var"}, {"min_std": 0.0}, {"guard": math.nan}],
)
def test_bad_settings_raise(setting: dict[str, Any]) -> None:
    with pytest.raises(EmaSettingError, match=next(iter(setting))):
        EmaNormalizer(**setting)


def test_dtype_and_empty_batches() -> None:
    normalizer = EmaNormalizer()
    assert normalizer.advantages([1, 0], ["a", "a"], ["t", "t"]).dtype == torch.float32
    assert normalizer.advantages(torch.zeros(0).double(), [], []).dtype == torch.float64


def test_padding_rows_enter_no_statistics() -> None:
    scores, groups, tasks = make_batches(5, 1)[0]
    rewards = torch.zeros(len(scores) + 2, 3)
    rewards[:-2, 2] = torch.tensor(scores)
    rewards[-2:] = 7.0
    mask = torch.ones_like(rewards)
    mask[:, 0] = 0
    padded, plain = EmaNormalizer(), EmaNormalizer()
    real = torch.tensor([True] * len(scores) + [False] * 2)
    out = token_advantages(padded, rewards, mask, [*groups, "p", "p"], [*tasks, "x", "x"], real)
    own = plain.advantages(torch.tensor(scores), groups, tasks)
    assert padded.state_dict() == plain.state_dict()
    assert torch.equal(out[:-2], own[:, None] * mask[:-2])
    assert torch.equal(out[-2:], torch.zeros(2, 3))


def test_numpy_columns_as_trainers_hand_them_over() -> None:
    rewards, mask = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.ones(2, 2)
    uids, tasks = np.array(["u", "u"], dtype=object), np.array(["t", "t"], dtype=object)
    out = token_advantages(EmaNormalizer(), rewards, mask, uids, tasks, np.array([True, True]))
    assert out.shape == (2, 2) and float(out[0, 0]) == pytest.approx(1.0, rel=1e-5)


def test_tasks_of_one_name_share_a_std() -> None:
    shared = EmaNormalizer(key='{"near": "number", "far": "number"}')
    shared.advantages(
        [0.0, 1.0, 0.0, 0.5, 1.0, 1.0], "aabbcc", ["near"] * 2 + ["far"] * 2 + ["b"] * 2
    )
    assert set(shared.state_dict()["tasks"]) == {"number", "b"}
    for key in ("number", "[1]", '{"near": 3}'):
        with pytest.raises(EmaSettingError, match="nor names by task"):
            EmaNormalizer(key=key)
