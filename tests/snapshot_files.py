"""Rendered configs as files that a trainer's parser reads; tests/unit/orchestrator/snapshots.py."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOTS = ROOT / "tests" / "snapshots"


def stages(config: str, suffix: str = "") -> list[tuple[str, str]]:
    """Recipe and stage of every snapshot with such a `config`, its folder's name ending so."""
    found = (path.parent for path in SNAPSHOTS.glob(f"*/*{suffix}/{config}"))
    return sorted((folder.parent.name, folder.name) for folder in found)


def place(recipe: str, stage: str, directory: Path) -> Path:
    """Write the stage's files into `directory`, its paths made real, and return `directory`."""
    for path in (SNAPSHOTS / recipe / stage).iterdir():
        text = path.read_text().replace("@OUT@", str(directory)).replace("@ROOT@", str(ROOT))
        (directory / path.name).write_text(text)
    return directory
