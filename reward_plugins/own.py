"""Functions from a file of a user's own: a reward, a benchmark's questions."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
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
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise OwnCodeError(f"{path} defines no function {name!r}")
    return found


def load_reward(reference: str) -> Score:
    """The reward that `path/to/file.py:name` names; what it returns is checked."""
    found = load_function(reference)

    def score(*arguments: Any, **settings: Any) -> Mapping[str, float]:
        scores = found(*arguments, **settings)
        if not isinstance(scores, Mapping) or not set(KEYS) <= set(scores):
            raise OwnCodeError(f"{reference} returned {scores!r}, not {', '.join(KEYS)}")
        return scores

    return score
