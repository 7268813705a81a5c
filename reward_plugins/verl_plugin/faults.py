"""A response that fails: told by the process where it failed, read by the one that trains.

verl logs the exception, drops the response and trains on without it (`_run_prompt` of
verl/trainer/ppo/v1/agent_loop_tq.py:106). Here each has a tag in a partition of the TransferQueue.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

from reward_plugins.errors import CamReasonerError

PARTITION = "faults"
LONGEST = 8_000
"""Characters of a traceback that are kept: its end."""


class GenerationError(CamReasonerError, RuntimeError):
    """The rollout server failed on one request; the next may succeed."""


class ResponseError(CamReasonerError, RuntimeError):
    """A prompt, a processor or a reward raised: it would on every such response."""


class Fault(NamedTuple):
    """Why one response is missing."""

    sample: str
    cause: str
    """The traceback, its end."""
    transient: bool
    """The rollout server failed; anything else is a fault of code or data."""

    @staticmethod
    def of(sample: str, error: BaseException) -> Fault:
        """The fault of a response to `sample` that ended in `error`."""
        text = "".join(traceback.format_exception(error))
        return Fault(sample, text[-LONGEST:], isinstance(error, GenerationError))

    @staticmethod
    def read(tag: Mapping[str, Any]) -> Fault:
        """What `_asdict` of a fault became in the queue."""
        return Fault(**{name: tag[name] for name in Fault._fields})

    def __str__(self) -> str:
        return f"sample {self.sample!r}:\n{self.cause}"
