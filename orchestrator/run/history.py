"""The metrics of a training stage as rows by step, while it runs and afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reward_plugins.rows import read_rows

Row = dict[str, Any]
FILE = "metrics.jsonl"
"""In a stage's directory: one `{"step", "data"}` a step."""
SFT_KEYS = {"learning_rate": "lr", "epoch": "epoch", "loss": "loss", "grad_norm": "grad_norm"}
"""Of the Hugging Face trainer's own history, by LLaMA-Factory's names."""


def read(directory: Path) -> list[Row]:
    """Rows `{"step", metric: value, ...}` of the training stage in `directory`, by step."""
    path = directory / FILE
    if path.is_file():
        return [{**row["data"], "step": row["step"]} for row in read_rows(path, dict)]
    return sft(directory / "checkpoints")


def sft(checkpoints: Path) -> list[Row]:
    """LLaMA-Factory's rows so far.

    A checkpoint holds the trainer's history up to it, which a resumed run goes on with: all of it
    counts once. What came since is in `trainer_log.jsonl`, to which a resumed run appends the
    steps that it repeats; it lacks the gradient's norm.
    """
    saved = [row for row in _newest_history(checkpoints) if "loss" in row]
    known = saved[-1]["step"] if saved else 0
    rows = [{new: row[old] for old, new in SFT_KEYS.items() if old in row} for row in saved]
    rows = [{"step": row["step"], **kept} for row, kept in zip(saved, rows, strict=True)]
    log = checkpoints / "trainer_log.jsonl"
    since = read_rows(log, dict)
    logged = ({"step": row["current_steps"], **row} for row in since if "loss" in row)
    kept = {"step", *SFT_KEYS.values()}
    newer = [{k: v for k, v in row.items() if k in kept} for row in rewound(logged)]
    return rows + [row for row in newer if row["step"] > known]


def rewound(rows: Iterable[Row]) -> list[Row]:
    """Rows without those that a later one, of an earlier or the same step, did over."""
    kept: list[Row] = []
    for row in rows:
        while kept and kept[-1]["step"] >= row["step"]:
            kept.pop()
        kept.append(row)
    return kept


def to_text(rows: Iterable[Row]) -> str:
    """The text of a `metrics.jsonl`."""
    apart = ((row["step"], {k: v for k, v in row.items() if k != "step"}) for row in rows)
    return "".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in apart)


def _newest_history(checkpoints: Path) -> list[Row]:
    """`log_history` of the newest checkpoint that has been written to its end."""
    paths = checkpoints.glob("checkpoint-*/trainer_state.json")
    for path in sorted(paths, key=lambda p: int(p.parent.name.rpartition("-")[2]), reverse=True):
        try:
            return list(json.loads(path.read_text()).get("log_history", ()))
        except ValueError:  # being written
            continue
    return []
