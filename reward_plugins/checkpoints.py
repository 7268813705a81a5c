"""Which checkpoints of an RL run stay on the disk."""

from __future__ import annotations

from pathlib import Path

from reward_plugins.files import remove

PREFIX = "global_step_"
"""Of a checkpoint's name, in verl and EasyR1."""


def remove_old(checkpoints: Path, last: int, every: int | None) -> None:
    """Leave the newest `last` checkpoints, and those of each `every` steps for ever.

    Called once the newest of all is whole and named so: both trainers' own removal comes before.
    """
    steps = (path.name.removeprefix(PREFIX) for path in checkpoints.glob(f"{PREFIX}*"))
    own = sorted(int(step) for step in steps if step.isdigit())  # a copy has another name
    for step in own[:-last]:
        if every is None or step % every:
            remove(checkpoints / f"{PREFIX}{step}")
