"""A reward of several terms: accuracy and format, and what a recipe adds under `rl.reward.terms`.

    rl.reward.terms.length: {function: my.py:f, weight: 0.2, over: group, when: {accuracy: 0.1}}

A term is a function of a `Response`, or with `over: group` of a list of those to one question that
pass `when`; it returns a number, or None where it has nothing to say. One that takes `progress` is
told which share of the training is done, from 0 to 1. Each is logged under its own name.
"""

from __future__ import annotations

import inspect
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

from reward_plugins import own, reward

Terms = Mapping[str, Mapping[str, Any]]
"""Settings of each term by its name: `rl.reward.terms`."""
PROGRESS = "progress"


class Response(NamedTuple):
    """A response, what it is scored against, and its scores so far."""

    text: str
    task: str | None
    truth: Any
    info: Mapping[str, Any]
    """The sample's `sample_id` and `options`, and what the trainer knows: `tokens`, `progress`."""
    scores: dict[str, float]

    @property
    def facts(self) -> Mapping[str, Any]:
        """The sample's facts."""
        return reward.facts_of(self.info)

    @property
    def tokens(self) -> int:
        """How many tokens the policy wrote; known in training alone."""
        return int(self.info["tokens"])


def compute_score(
    data_source: str | None,
    solution_str: object,
    ground_truth: object,
    extra_info: Mapping[str, Any] | None = None,
    *,
    function: str | None = None,
    terms: Terms | None = None,
    **settings: Any,
) -> Mapping[str, float]:
    """verl's reward: this project's, or the `function` (`path/to/file.py:name`), and its `terms`.

    Terms over a group are 0 here: `over_group` adds them when all of it is there.
    """
    info, score = extra_info or {}, own.load_reward(function) if function else reward.compute_score
    scores = dict(score(data_source, solution_str, ground_truth, info, **settings))
    if terms:
        text = solution_str if isinstance(solution_str, str) else ""
        response = Response(text, data_source, ground_truth, info, scores)
        for name, term in terms.items():
            scores[name] = 0.0
            if term["over"] == "response":
                _pay(name, term, [response], settings)
    return scores


def over_group(terms: Terms, group: Sequence[Response], settings: Mapping[str, Any]) -> None:
    """Add the terms over a group to the scores of all responses to one question."""
    for name, term in terms.items():
        if term["over"] == "group":
            _pay(name, term, group, settings)


def compute_scores(
    reward_inputs: Sequence[Mapping[str, Any]], *, terms: Terms, **settings: Any
) -> list[dict[str, float]]:
    """`reward.compute_scores` of EasyR1 with terms: rows of one truth are a group."""
    groups: dict[Any, list[Response]] = defaultdict(list)
    all_scores: list[dict[str, float]] = []
    for item in reward_inputs:
        task, text, truth, info = reward.read_input(item)
        told = {**info, "tokens": item.get("response_length")}
        scores = dict(compute_score(task, text, truth, told, terms=terms, **settings))
        groups[item.get("ground_truth")].append(Response(text or "", task, truth, told, scores))
        all_scores.append(scores)
    for group in groups.values():
        if len(group) > 1:  # one alone is asked in validation
            over_group(terms, group, settings)
    return [{"overall": scores.pop("score"), **scores} for scores in all_scores]


def _pay(
    name: str, term: Mapping[str, Any], group: Sequence[Response], settings: Mapping[str, Any]
) -> None:
    """Add one term to the scores of those that it counts for."""
    fit = [each for each in group if _counts(term, each)]
    for each, value in zip(fit, _values(name, term, fit) if fit else [], strict=True):
        if value is None:
            continue
        each.scores[name] = value
        each.scores["score"] += term["weight"] * value
        if term["veto"] and value == 0:
            each.scores["score"] -= reward.accuracy_share(**settings) * each.scores["accuracy"]
            each.scores["accuracy"] = 0.0


def _counts(term: Mapping[str, Any], response: Response) -> bool:
    tasks = term["tasks"]
    above = all(response.scores.get(name, 0.0) > least for name, least in term["when"].items())
    return above and (tasks is None or response.task in tasks)


def _values(
    name: str, term: Mapping[str, Any], group: Sequence[Response]
) -> Iterable[float | None]:
    function, arguments = own.load_function(term["function"]), dict(term["arguments"])
    if _takes_progress(function):
        arguments[PROGRESS] = group[0].info[PROGRESS]
    with own.Naming(group[0].info):
        if term["over"] == "response":
            found = [function(each, **arguments) for each in group]
        else:
            found = list(function(group, **arguments))
        return _checked(name, found, len(group))


@lru_cache(maxsize=32)
def _takes_progress(function: Callable[..., Any]) -> bool:
    return PROGRESS in inspect.signature(function).parameters


def _checked(name: str, found: list[Any], count: int) -> list[float | None]:
    if len(found) != count or not all(
        value is None or (isinstance(value, Real) and math.isfinite(value)) for value in found
    ):
        raise own.OwnCodeError(
            f"rl.reward.terms.{name} returned {found!r}, not {count} finite numbers (or None)"
        )
    return [None if value is None else float(value) for value in found]
