"""Which grader scores a task's answers, by name; training and evaluation ask the same ones.

A task's settings are a mapping with `grader` and what that grader takes:

| grader | truth | settings |
|---|---|---|
| `letter` | the letter of an option | |
| `number` | a number | `decimals`: equal when rounded so; else exactly |
| `relative` | a number | `rule`: `at_most` or `below` (mean relative accuracy's two); `reads` |
| `relative_error` | a number | `reads`: the `whole` answer, or the `first` number in it |
| `words`, `rouge`, `math` | a text | |
| `interval` | `[start, end]`, or under the key `time` | |
| `box` | `[x1, y1, x2, y2]`, or under the key `boxes` | |
| `track` | boxes by frame, or under the key `boxes` | |
| `points` | `[[x, y], ...]`, or under the key `points` | `sigma`: of the Gaussian, in pixels |
| `map` | points by kind, on a grid of 10 x 10 | |
| `path/to/file.py:name` | anything | called with the answer, the truth and the sample's facts |
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from reward_plugins import grading
from reward_plugins.errors import CamReasonerError
from reward_plugins.own import load_function

LETTER = "letter"
Grade = Callable[[str, Any], float]
"""Answer and parsed truth to a score in [0, 1]."""


class GraderError(CamReasonerError, ValueError):
    """Settings that name no grader, or a grader that returned no score."""


class TruthError(CamReasonerError, ValueError):
    """A truth that its task's grader can't compare with."""


class Grader(NamedTuple):
    """How answers of one kind are scored."""

    truth: Callable[[Any], Any]
    """Reads the truth; None where it is malformed."""
    make: Callable[..., Grade]
    """From the settings, by keyword."""
    settings: frozenset[str] = frozenset()


def grade(settings: Mapping[str, Any], answer: str | None, truth: Any, facts: Any = None) -> float:
    """Score an answer (None: there is none) against the `truth` of its sample.

    Raises `TruthError` for a malformed truth whatever the answer, `GraderError` for settings.
    """
    name = settings["grader"]
    if name not in GRADERS:
        return _own(name, answer, truth, facts)
    parsed = GRADERS[name].truth(truth)
    if parsed is None:
        raise TruthError(f"its truth {truth!r} is nothing that the grader {name!r} compares with")
    return 0.0 if answer is None else _made(json.dumps(settings, sort_keys=True))(answer, parsed)


def check(settings: Mapping[str, Any]) -> None:
    """Raise `GraderError` where `settings` name no grader, or give it what it does not take."""
    name = str(settings.get("grader"))
    if name not in (LETTER, *GRADERS) and ".py:" not in name:
        known = ", ".join((LETTER, *GRADERS))
        raise GraderError(f"grader {name!r} is none of {known}, nor path/to/file.py:function")
    taken = GRADERS[name].settings if name in GRADERS else frozenset()
    if extra := sorted(settings.keys() - taken - {"grader"}):
        takes = ", ".join(sorted(taken)) or "nothing"
        raise GraderError(f"grader {name!r} takes {takes}, not {', '.join(extra)}")


@lru_cache(maxsize=256)
def _made(settings: str) -> Grade:
    own = json.loads(settings)
    name = own.pop("grader")
    check({"grader": name, **own})
    return GRADERS[name].make(**own)


def _own(name: str, answer: str | None, truth: Any, facts: Any) -> float:
    check({"grader": name})
    score = load_function(name)("" if answer is None else answer, truth, facts or {})
    if isinstance(score, bool | int | float) and 0 <= score <= 1:
        return float(score)
    raise GraderError(f"grader {name!r} returned {score!r}, not a score from 0 to 1")


def _reader(reads: str) -> Callable[[str], float | None]:
    return {"whole": grading.number, "first": grading.first_number}[reads]


def _number(decimals: int | None = None) -> Grade:
    return lambda answer, truth: grading.same_number(grading.number(answer), truth, decimals)


def _relative(rule: str = "at_most", reads: str = "whole") -> Grade:
    read, strict = _reader(reads), {"at_most": False, "below": True}[rule]
    return lambda answer, truth: grading.mean_relative_accuracy(read(answer), truth, strict=strict)


def _relative_error(reads: str = "whole") -> Grade:
    read = _reader(reads)
    return lambda answer, truth: grading.relative_error(read(answer), truth)


def _points(sigma: float = 50.0) -> Grade:
    return lambda answer, truth: grading.points(_under("points", answer), truth, sigma)


def _plain(compare: Callable[[Any, Any], float], key: str | None = None) -> Callable[[], Grade]:
    """A grader without settings, of the answer's text or of its JSON."""
    if key is None:
        return lambda: compare
    return lambda: lambda answer, truth: compare(_under(key, answer), truth)


def _under(key: str, value: Any) -> Any:
    """A value's JSON, without the object that may hold it under `key`."""
    found = grading.read_json(value)
    return found[key] if isinstance(found, dict) and key in found else found


def _a_number(truth: Any) -> float | None:
    if isinstance(truth, int | float) and not isinstance(truth, bool):
        return float(truth) if math.isfinite(truth) else None
    return grading.number(truth) if isinstance(truth, str) else None


def _a_text(truth: Any) -> str | None:
    return truth if isinstance(truth, str) and truth.strip() else None


def _an_interval(truth: Any) -> Any:
    found = grading.numbers(_under("time", truth), 2)
    return list(found) if found and found[0] < found[1] else None


def _a_box(truth: Any) -> Any:
    found = grading.numbers(_under("boxes", truth), 4)
    return list(found) if found and found[0] < found[2] and found[1] < found[3] else None


def _a_track(truth: Any) -> Any:
    found = _under("boxes", truth)
    whole = isinstance(found, dict) and found and all(_a_box(box) for box in found.values())
    return found if whole else None


def _some_points(truth: Any) -> Any:
    found = _under("points", truth)
    whole = isinstance(found, list) and found and all(grading.numbers(p, 2) for p in found)
    return found if whole else None


def _a_map(truth: Any) -> Any:
    found = grading.read_json(truth)
    return grading.read_map(found) if isinstance(found, dict) else None


GRADERS: dict[str, Grader] = {
    "number": Grader(_a_number, _number, frozenset({"decimals"})),
    "relative": Grader(_a_number, _relative, frozenset({"rule", "reads"})),
    "relative_error": Grader(_a_number, _relative_error, frozenset({"reads"})),
    "words": Grader(_a_text, _plain(grading.word_accuracy)),
    "rouge": Grader(_a_text, _plain(grading.rouge)),
    "math": Grader(_a_text, _plain(grading.same_mathematics)),
    "interval": Grader(_an_interval, _plain(grading.interval_iou, "time")),
    "box": Grader(_a_box, _plain(grading.box_iou, "boxes")),
    "track": Grader(_a_track, _plain(grading.track_iou, "boxes")),
    "points": Grader(_some_points, _points, frozenset({"sigma"})),
    "map": Grader(
        _a_map, lambda: lambda answer, truth: grading.map_score(grading.read_map(answer), truth)
    ),
}
"""Every grader but `letter`, which needs the options and the recipe's way to read an answer."""
