"""A reward function from a file of a user's own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from reward_plugins.errors import CamReasonerError

Score = Callable[..., Mapping[str, float]]
"""In verl's signature: `(data_source, solution_str, ground_truth, extra_info, **settings)`."""
KEYS = ("score", "format", "accuracy")
"""What a reward returns: `score` is reinforced, the others are logged and filtered by."""


class OwnRewardError(CamReasonerError, ValueError):
    """A reward file without the function, or a function that returns something else."""


@lru_cache(maxsize=8)
def load(reference: str) -> Score:
    """The function that `path/to/file.py:name` names; imported once a process."""
    path, _, name = reference.rpartition(":")
    spec = importlib.util.spec_from_file_location("camreasoner_own_reward", path)
    if spec is None or spec.loader is None:
        raise OwnRewardError(f"{reference}: name it as path/to/file.py:function")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise OwnRewardError(f"{path} defines no function {name!r}")

    def score(*arguments: Any, **settings: Any) -> Mapping[str, float]:
        scores = found(*arguments, **settings)
        if not isinstance(scores, Mapping) or not set(KEYS) <= set(scores):
            raise OwnRewardError(f"{reference} returned {scores!r}, not {', '.join(KEYS)}")
        return scores

    return score
