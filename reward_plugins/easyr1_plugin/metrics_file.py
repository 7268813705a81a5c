"""The run's metrics as JSON lines, in the place and shape of EasyR1's own `file` logger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verl.utils.py_functional import unflatten_dict


class MetricsFile:
    """`<save_checkpoint_path>/experiment_log.jsonl`, which a resumed run appends to.

    Stock EasyR1 empties that file whenever it starts (verl/utils/logger/logger.py:72), and v0.3.2
    has no such logger. Lines of one step belong together, and the later ones win: validation logs
    a line of its own, and a killed run repeats the steps after its last checkpoint.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.path = Path(config["trainer"]["save_checkpoint_path"]) / "experiment_log.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def log(self, data: dict[str, Any], step: int) -> None:
        """Append one line: the step, and the metrics nested at each `/` of their names."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **unflatten_dict(data)}) + "\n")

    def finish(self) -> None:
        """EasyR1 calls this at the end; each line is already written."""
