"""Graded accuracies against a second statement of each published rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.grading import mean_relative_accuracy

numbers = st.integers(-200, 200) | st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("truth", "said", "inclusive", "strict"),
    [
        (4, 3, 0.6, 0.5),
        (2, 1, 0.1, 0.0),
        (10, 10, 1, 1),
        (10, 100, 0, 0),
        (0, 0, 1, 1),
        (0, 1, 0, 0),
    ],
)
def test_two_rules_of_mean_relative_accuracy(
    truth: float, said: float, inclusive: float, strict: float
) -> None:
    assert mean_relative_accuracy(said, truth) == inclusive
    assert mean_relative_accuracy(said, truth, strict=True) == strict


def test_they_differ_on_19_of_150_small_counts() -> None:
    pairs = [(said, truth) for truth in range(1, 11) for said in range(15)]
    rules = [
        (mean_relative_accuracy(*pair), mean_relative_accuracy(*pair, strict=True))
        for pair in pairs
    ]
    assert sum(one != other for one, other in rules) == 19


@given(numbers, numbers.filter(bool))
def test_the_inclusive_rule_is_the_evaluators(said: float, truth: float) -> None:
    thetas = np.linspace(0.5, 0.95, 10)
    expected = (abs(said - truth) / abs(truth) <= 1 - thetas).mean()
    assert mean_relative_accuracy(said, truth) == pytest.approx(float(expected))
    assert mean_relative_accuracy(said, truth, strict=True) <= mean_relative_accuracy(said, truth)
