"""The reward R = (1 - λ)·accuracy + λ·format, in verl's signature and in EasyR1's.

Standard library only: reward workers of the trainers import this file. verl takes `compute_score`
(`reward.custom_reward_function.path=pkg://reward_plugins.reward`); EasyR1 loads the file itself
(`worker.reward.reward_function=…/reward.py:compute_scores`).

Every model output has a reward: nothing a policy emits raises. A broken sample does raise
(`BrokenSampleError`, naming it), because a wrong datum is not a policy's mistake.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from reward_plugins import answers, as_released, graders, ota, own, published
from reward_plugins.errors import CamReasonerError

REWARD_NAME = "camreasoner"
REWARD_TYPE = "batch"
"""Read by EasyR1's AutoRewardManager; v0.3.2 wants `worker.reward.reward_type: batch` instead."""


LETTER = {"grader": graders.LETTER}
Tasks = str | Mapping[str, Mapping[str, Any]] | Collection[str] | None


class Rules(NamedTuple):
    """How a response is read."""

    form: Callable[[object, tuple[str, ...], int], tuple[bool, str | None]]
    """Response, tags, least characters a block -> whether it is well-formed, and its answer."""
    names: Callable[[str | None, str, tuple[str, ...] | None], bool]
    """Answer, right letter, options -> whether it is right."""


class BrokenSampleError(CamReasonerError, ValueError):
    """A sample that no response could be scored against: a data error."""


class RewardSettingError(CamReasonerError, ValueError):
    """A reward setting out of its range."""


def compute_score(
    data_source: str | None,
    solution_str: object,
    ground_truth: object,
    extra_info: Mapping[str, Any] | None = None,
    *,
    format_weight: float = 0.1,
    accuracy_weight: float | None = None,
    gate_accuracy_on_format: bool = True,
    matching: str = "strict",
    tags: Iterable[str] = ota.TAGS,
    min_block_chars: int = 0,
    tasks: Tasks = None,
) -> dict[str, float]:
    """Score one response; `format` and `accuracy` are each in [0, 1], and `score` is their sum.

    `data_source` is the sample's task. `tasks` names those there are, or says how each is graded
    (`graders`), as a mapping or as its JSON; any other is an error. Where it does not say, an
    answer is an option's letter.
    `ground_truth` is the letter of the right option, or what the task's grader compares with.
    `extra_info` may hold `options` (texts
    without letters, as a list or as a JSON string) and `sample_id` (for errors).

    `gate_accuracy_on_format`: accuracy counts only in a well-formed response (paper section 3.3);
    the released code does not gate. The returned accuracy is the one that counted, so that
    `score = (1 - λ)·accuracy + λ·format` always holds; `accuracy_weight` takes the place of 1 - λ.
    `matching` is `strict` (`ota`), `as_released` (the released code's rules), or `first` or `last`
    (`published`).
    `min_block_chars`: characters that each block before the answer needs for the format to pass
    (strict only).

    Raises `BrokenSampleError` for the sample's faults, `RewardSettingError` for a setting's.
    """
    info, rules = extra_info or {}, _rules(matching, format_weight, min_block_chars)
    task = _task(tasks, data_source, info)
    well_formed, answer = rules.form(solution_str, tuple(tags), min_block_chars)
    accuracy = score_answer(task, answer, ground_truth, info, rules.names)
    format_reward = float(well_formed)
    if gate_accuracy_on_format and not well_formed:
        accuracy = 0.0
    score = accuracy_share(format_weight, accuracy_weight) * accuracy
    score += format_weight * format_reward
    return {"score": score, "format": format_reward, "accuracy": accuracy}


def accuracy_share(
    format_weight: float = 0.1, accuracy_weight: float | None = None, **_: Any
) -> float:
    """What an accuracy of 1 earns under these settings of `compute_score`."""
    return 1.0 - format_weight if accuracy_weight is None else accuracy_weight


def score_answer(
    task: Mapping[str, Any],
    answer: str | None,
    truth: object,
    info: Mapping[str, Any],
    names: Callable[[str | None, str, tuple[str, ...] | None], bool] | None = None,
) -> float:
    """Score an `answer` by its task's grader, in [0, 1]; `BrokenSampleError` for a wrong truth.

    `names` says whether an answer names the right option's letter; by default `answers` does.
    """
    if task["grader"] == graders.LETTER:
        options = _options(info)
        return float(
            (names or RULES["strict"].names)(answer, _truth(truth, options, info), options)
        )
    try:
        return graders.grade(task, answer, truth, facts_of(info))
    except graders.TruthError as error:
        raise _broken(info, str(error), "mend its answer") from error


def compute_scores(
    reward_inputs: Sequence[Mapping[str, Any]], *, function: str | None = None, **settings: Any
) -> list[dict[str, float]]:
    """EasyR1's batch form: `{"overall", "format", "accuracy", ...}` for each input, in order.

    EasyR1 hands over `response`, `response_length` and `ground_truth` alone
    (verl/workers/reward/function.py:36-39), so `ground_truth` carries what else a score needs as
    a JSON object: `{"answer": "A", "options": [...], "task": ..., "sample_id": ...}`; a bare
    letter will do where no options or task are wanted. `settings` are those of `compute_score`,
    or of the `function` (`path/to/file.py:name`) that scores in its place.
    """
    score = compute_score if function is None else own.load_reward(function)
    return [_score_input(item, score, settings) for item in reward_inputs]


def _score_input(
    item: Mapping[str, Any], score: own.Score, settings: dict[str, Any]
) -> dict[str, float]:
    scores = dict(score(*read_input(item), **settings))
    return {"overall": scores.pop("score"), **scores}


def read_input(item: Mapping[str, Any]) -> tuple[str | None, Any, Any, dict[str, Any]]:
    """Task, response, answer and all that stands beside it, of one of EasyR1's rows."""
    truth = item.get("ground_truth")
    info: dict[str, Any] = _decode(truth) if isinstance(truth, str) and truth[:1] == "{" else {}
    answer = info.get("answer") if info else truth
    return info.get("task"), item.get("response"), answer, info


def _task(tasks: Tasks, name: str | None, info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a sample's task; an option's letter where the recipe says no more."""
    if isinstance(tasks, str):
        tasks = _json_tasks(tasks)
    if tasks is None:
        return LETTER
    if name is None or name not in tasks:
        raise _broken(info, f"its task {name!r} is none of {sorted(tasks)}", "rename it")
    return tasks[name] if isinstance(tasks, Mapping) else LETTER


@lru_cache(maxsize=16)
def _json_tasks(tasks: str) -> Mapping[str, Mapping[str, Any]]:
    return dict(json.loads(tasks))


def _rules(matching: str, format_weight: float, min_block_chars: int) -> Rules:
    if not 0.0 <= format_weight <= 1.0:
        raise RewardSettingError(f"format_weight: {format_weight!r} is not between 0 and 1")
    if matching not in RULES:
        raise RewardSettingError(
            f"matching: {matching!r} is not one of {', '.join(map(repr, RULES))}"
        )
    if matching != "strict" and min_block_chars:
        raise RewardSettingError(f"min_block_chars: the {matching} rules have none; set it to 0")
    return RULES[matching]


def _strict(response: object, tags: tuple[str, ...], least: int) -> tuple[bool, str | None]:
    trace = ota.parse(response, tags)
    if trace is None:
        return False, ota.answer_block(response)
    others = (block for tag, block in trace.blocks.items() if tag != "answer")
    return all(len(block) >= least for block in others), trace.answer


def _released(response: object, tags: tuple[str, ...], least: int) -> tuple[bool, str | None]:
    if not isinstance(response, str):
        return False, None
    tight = as_released.tighten(response)
    return as_released.has_format(tight, tags), as_released.answer_text(tight)


def _first(response: object, tags: tuple[str, ...], least: int) -> tuple[bool, str | None]:
    text = response if isinstance(response, str) else ""
    found = published.blocks(text, "answer")
    return published.has_blocks(text, tags), (found[0].strip() if found else "")


def _last(response: object, tags: tuple[str, ...], least: int) -> tuple[bool, str | None]:
    text = response.strip() if isinstance(response, str) else ""
    once = all(text.count(f"<{tag}>") == 1 for tag in tags)
    return once and published.has_blocks(text, tags), published.plain(text)


RULES: dict[str, Rules] = {
    "strict": Rules(
        _strict, lambda answer, truth, options: answers.answer_letter(answer, options) == truth
    ),
    "as_released": Rules(
        _released,
        lambda answer, truth, options: (
            answer is not None and as_released.names_letter(answer, truth)
        ),
    ),
    "first": Rules(_first, lambda answer, truth, options: answer == truth),
    "last": Rules(_last, lambda answer, truth, options: answer == truth.lower()),
}


def _options(info: Mapping[str, Any]) -> tuple[str, ...] | None:
    options = info.get("options")
    if options is None:
        return None
    try:
        return _from_json(options) if isinstance(options, str) else _texts(options)
    except (ValueError, TypeError) as error:
        raise _broken(info, f"its options {options!r} are no list of texts", "list them") from error


@lru_cache(maxsize=65536)
def _from_json(options: str) -> tuple[str, ...]:
    return _texts(json.loads(options))


def facts_of(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of a sample, which trainers carry as JSON."""
    facts = info.get("facts") or {}
    return dict(json.loads(facts)) if isinstance(facts, str) else facts


def _texts(options: Iterable[object]) -> tuple[str, ...]:
    given = () if isinstance(options, Mapping | str) else tuple(options)
    texts = tuple(text for text in given if isinstance(text, str))
    if not texts or len(texts) != len(given):
        raise TypeError("options must be texts")
    return texts


def _truth(truth: object, options: tuple[str, ...] | None, info: Mapping[str, Any]) -> str:
    letters = answers.LETTERS if options is None else answers.LETTERS[: len(options)]
    if isinstance(truth, str) and len(truth) == 1 and truth in letters:
        return truth
    if truth is None or truth == "":
        raise _broken(info, "it has no ground truth", "give the letter of its right option")
    known = ", ".join(letters) if options is not None else "A to Z"
    raise _broken(info, f"its ground truth {truth!r} is none of {known}", "give an option's letter")


def _decode(truth: str) -> dict[str, Any]:
    try:
        return dict(json.loads(truth))
    except ValueError as error:
        raise _broken({}, f"its ground truth {truth!r} is not JSON", "export it again") from error


def _broken(info: Mapping[str, Any], fault: str, mend: str) -> BrokenSampleError:
    name = info.get("sample_id", info.get("index"))
    who = "a sample without extra_info['sample_id']" if name is None else f"sample {name!r}"
    return BrokenSampleError(f"{who} can't be scored: {fault}; {mend} and build the data again")
