"""Functions from a file of a user's own: a reward, a benchmark's questions."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from numbers import Real
from typing import Any

from reward_plugins.errors import CamReasonerError

Score = Callable[..., Mapping[str, float]]
"""In verl's signature: `(data_source, solution_str, ground_truth, extra_info, **settings)`."""
KEYS = ("score", "format", "accuracy")
"""What a reward returns: `score` is reinforced, the others are logged and filtered by."""


class OwnCodeError(CamReasonerError, ValueError):
    """A file without the function, or a function that returns something else."""


@lru_cache(maxsize=32)
def load_function(reference: str) -> Callable[..., Any]:
    """The function that `path/to/file.py:name` names; imported once a process."""
    path, _, name = reference.rpartition(":")
    title = f"camreasoner_own_{path.encode().hex()}"
    spec = importlib.util.spec_from_file_location(title, path)
    if spec is None or spec.loader is None:
        raise OwnCodeError(f"{reference}: name it as path/to/file.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module  # dataclasses and pickle look there
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.append(folder)  # for its neighbours; last, so that they hide no package
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise OwnCodeError(f"{path} defines no function {name!r}")
    return found


def load_reward(reference: str) -> Score:
    """The reward that `path/to/file.py:name` names; what it returns is checked.

    Its numbers go on, as Python's; words and lists that stand beside them don't. What it raises
    tells the sample.
    """
    found = load_function(reference)

    def score(
        data_source: Any, solution_str: Any, ground_truth: Any, extra_info: Any, **settings: Any
    ) -> Mapping[str, float]:
        with Naming(extra_info):
            scores = found(
                data_source=data_source,
                solution_str=solution_str,
                ground_truth=ground_truth,
                extra_info=extra_info,
                **settings,
            )
            if inspect.iscoroutine(scores):
                scores = asyncio.run(scores)
            numbers = _numbers(scores) if isinstance(scores, Mapping) else {}
            if not all(math.isfinite(numbers.get(key, math.nan)) for key in KEYS):
                raise OwnCodeError(
                    f"{reference} returned {scores!r}, not finite numbers for {', '.join(KEYS)}"
                )
        return numbers

    return score


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """Those of NumPy and torch too: their `item` is a number of Python's."""
    plain = {name: v.item() if hasattr(v, "item") else v for name, v in scores.items()}
    return {name: float(value) for name, value in plain.items() if isinstance(value, Real)}


class Naming(AbstractContextManager[None]):
    """Adds the sample that `info` names to what is raised within."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.sample = info.get("sample_id")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"while a response to sample {self.sample!r} was scored")
