"""Name an SFT stage's checkpoints, and put its metrics in the common form.

`python -m orchestrator.run.sft_outputs <stage directory>`, once LLaMA-Factory has ended.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from orchestrator.errors import StageError
from orchestrator.run import history, sound
from reward_plugins.files import replacement, write_file


def main(directory: Path) -> None:
    """Give a finished SFT stage names for its checkpoints, and its metrics in the common form.

    Raises `StageError` for one that has nothing to show for it.
    """
    name_checkpoints(directory)
    rows = history.sft(directory / "checkpoints")
    sound.check(directory / "checkpoints", rows)
    write_file(directory / history.FILE, history.to_text(rows))


def name_checkpoints(directory: Path) -> list[str]:
    """Link `last`, `step-N` and `epoch-N` in a finished SFT stage to its checkpoints.

    The step at which an epoch ends is known only once the trainer has counted the samples.
    Raises `StageError` when the trainer left no checkpoint.
    """
    names: dict[str, Path] = {}
    checkpoints = sorted((directory / "checkpoints").glob("checkpoint-*"), key=_step)
    if not checkpoints:
        raise StageError(f"{directory}: LLaMA-Factory ended without a checkpoint; see its log")
    for path in checkpoints:
        state = json.loads((path / "trainer_state.json").read_text())
        names[f"step-{_step(path)}"] = path
        if float(state["epoch"]).is_integer():
            names[f"epoch-{int(state['epoch'])}"] = path
        names["last"] = path
    for name, path in names.items():
        with replacement(directory / name) as link:
            link.symlink_to(path.relative_to(directory))
    return sorted(names)


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
